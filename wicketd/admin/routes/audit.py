"""The audit: list, show, facets, stats, export, checkpoints."""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from wicketd.admin import audit_mapping as mapping
from wicketd.admin.audit_filters import FACETS, resolved
from wicketd.admin.moments import moment
from wicketd.admin.paging import decode_cursor, encode_cursor
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import audit as wire
from wicketd.api.types.listing import Empty
from wicketd.api.types.status import AgentStatsAsk, Stats, StatsAsk
from wicketd.domain.errors import BadRequest

FACET_KINDS: Final = ("service", "tool", "member", "policy", "key", "kind", "reason")
DAY_MS: Final = 86_400_000


async def list_(uses: UseCases, ask: Ask[wire.AuditList]) -> wire.AuditPage:
    """Entries by filter, newest first; with `after`, the oldest of what is newer."""
    asked = ask.request
    before = _before(asked)
    filters = await resolved(uses, asked)
    found = await uses.audit.page(filters, before=before, after=asked.after, limit=asked.limit)
    rows = sorted(found, key=lambda pair: pair[0].seq, reverse=True)
    full = asked.after is None and len(rows) == asked.limit
    last = encode_cursor(str(rows[-1][0].seq)) if full else None
    return wire.AuditPage(items=tuple(mapping.entry(*pair) for pair in rows), next=last)


async def show(uses: UseCases, ask: Ask[wire.AuditRef]) -> wire.AuditDetail:
    """One entry and the rows it was read from."""
    rows = await uses.audit.get(ask.request.ref, await _agent_id(uses, ask.request))
    outcome = next((row for row in rows[1:] if row.kind == "call.outcome"), None)
    raw = tuple(map(mapping.raw_row, rows))
    return wire.AuditDetail(entry=mapping.entry(rows[0], outcome), rows=raw)


async def facets(uses: UseCases, ask: Ask[wire.FacetsAsk]) -> wire.Facets:
    """Values that occur, by kind."""
    asked = ask.request
    agent_id = None if asked.agent is None else (await uses.agents.get(asked.agent)).id
    part = (asked.q or "").lower()
    found = [
        wire.Facet(kind=kind, value=value)
        for kind in ([asked.kind] if asked.kind else FACET_KINDS)
        for value in await uses.audit.facets(agent_id, kind, FACETS)
        if part in value.lower()
    ]
    return wire.Facets(items=tuple(found[: asked.limit]))


async def pages(uses: UseCases, ask: Ask[wire.AuditPages]) -> wire.PageIndex:
    """Where pages begin."""
    found = await uses.audit.pages.of(await resolved(uses, ask.request), ask.request.size)
    return wire.PageIndex(size=found.size, total=found.total, upto=found.upto, starts=found.starts)


async def reveal(uses: UseCases, ask: Ask[wire.AuditReveal]) -> wire.Revealed:
    """The recorded arguments of one call."""
    asked = ask.request
    agent_id = await _agent_id(uses, asked)
    found = await uses.reveals.reveal(ask.actor, asked.ref, agent_id, asked.reason)
    return wire.Revealed(id=found.row.id, ref=found.row.ref, arguments=found.arguments)


async def prove(uses: UseCases, ask: Ask[wire.AuditReveal]) -> wire.AuditProof:
    """The proof of one decision."""
    asked = ask.request
    agent_id = await _agent_id(uses, asked)
    made = await uses.reveals.prove(ask.actor, asked.ref, agent_id, asked.reason)
    text = msgspec.json.format(msgspec.json.encode(made), indent=1).decode()
    first = msgspec.json.decode(made.rows[0].body, type=dict[str, Any])
    return wire.AuditProof(id=str(first["id"]), text=text, missing=made.missing)


async def export(uses: UseCases, ask: Ask[wire.AuditExport]) -> AsyncIterator[bytes]:
    """Entries as a stream of lines; the export is on record before the first."""
    filters = await resolved(uses, ask.request)
    return _encoded(await uses.audit.export(ask.actor, filters, ask.request.format))


async def checkpoints(uses: UseCases, _ask: Ask[Empty]) -> wire.Checkpoints:
    """Every checkpoint, newest first."""
    return wire.Checkpoints(items=tuple(map(mapping.checkpoint, await uses.audit.checkpoints())))


async def checkpoint(uses: UseCases, ask: Ask[Empty]) -> wire.Checkpoint:
    """The log is signed as it stands."""
    return mapping.checkpoint(await uses.audit.checkpoint(ask.actor))


async def stats(uses: UseCases, ask: Ask[StatsAsk]) -> Stats:
    """Numbers of all agents."""
    return await _stats(uses, None, ask.request)


async def agent_stats(uses: UseCases, ask: Ask[AgentStatsAsk]) -> Stats:
    """Numbers of one agent."""
    return await _stats(uses, (await uses.agents.get(ask.request.agent)).id, ask.request)


async def _agent_id(uses: UseCases, asked: wire.AuditRef) -> str | None:
    return None if asked.agent is None else (await uses.agents.get(asked.agent)).id


async def _stats(uses: UseCases, agent_id: str | None, asked: StatsAsk) -> Stats:
    now = uses.clock.now_ms()
    until = moment(asked.until, now) or now
    since = moment(asked.since, now) or until - DAY_MS
    hours = await uses.audit.hours(agent_id, since, until)
    denying = await uses.audit.denying(agent_id, since, until)
    return mapping.stats(hours, denying, (since, until), asked.bucket)


def _before(asked: wire.AuditList) -> int | None:
    if asked.before is not None and asked.after is not None:
        message = "Give before or after, not both."
        raise BadRequest(message)
    if asked.cursor is None:
        return asked.before
    text = decode_cursor(asked.cursor)
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        message = "This cursor leads nowhere. Read the list again from its start."
        raise BadRequest(message)
    return int(text)


async def _encoded(lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    async for line in lines:
        yield line.encode()


HANDLERS: Final[Handlers] = {
    "audit.list": list_,
    "audit.show": show,
    "audit.facets": facets,
    "audit.pages": pages,
    "audit.reveal": reveal,
    "audit.prove": prove,
    "audit.export": export,
    "audit.checkpoints": checkpoints,
    "audit.checkpoint": checkpoint,
    "stats": stats,
    "agent.stats": agent_stats,
}
