"""`wicket audit`: what was decided, by which policy version, and how it ended."""

import sys
from typing import Annotated, Literal

import typer

from wicket_tui.headless.command import Shell, command, noun
from wicket_tui.headless.expectations import cases_of, written
from wicket_tui.headless.filters import HELP, parsed
from wicket_tui.headless.output import cell, facts, indented, note, say, table
from wicket_tui.headless.stdin import InputFailed
from wicketd.api import endpoints
from wicketd.api.text import safe_json
from wicketd.api.types import audit
from wicketd.api.types.listing import Empty
from wicketd.api.types.status import EventsAsk

app = noun("The audit: list, follow, explain, export, sign.")

HEADS = ("time", "ref", "kind", "member", "tool", "decision", "why", "policies", "outcome", "ms")

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]
OfAgent = Annotated[str | None, typer.Option("--agent", help="Whose reference it is.")]
EntryArg = Annotated[str, typer.Argument(metavar="ID|REF", help="Entry id or call reference.")]
FiltersArg = Annotated[list[str] | None, typer.Argument(metavar="[FILTERS]", help=HELP)]


@command(app, "list")
async def list_(
    shell: Shell,
    filters: FiltersArg = None,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many.")] = 100,
    before: Annotated[int | None, typer.Option("--before", help="Older than this seq.")] = None,
) -> None:
    """Entries, newest first."""
    request = parsed(audit.AuditList, filters or (), limit=limit, before=before)
    page = await shell.call(endpoints.AUDIT_LIST, request)
    shell.show(page.items, table(HEADS, [row(entry) for entry in page.items]))


@command(app, "tail")
async def tail(shell: Shell, filters: FiltersArg = None) -> None:
    """Entries as they are written, until interrupted."""
    newest = await shell.call(endpoints.AUDIT_LIST, parsed(audit.AuditList, filters or (), limit=1))
    seen = newest.items[0].seq if newest.items else 0
    async for _ in shell.client.events(EventsAsk(topics="audit")):
        while True:
            ask = parsed(audit.AuditList, filters or (), after=seen, limit=500)
            page = await shell.call(endpoints.AUDIT_LIST, ask)
            for entry in reversed(page.items):
                shell.show_line(entry, _line(entry))
            if not page.items:
                break
            seen = page.items[0].seq


@command(app, "show")
async def show(
    shell: Shell,
    ref: EntryArg,
    *,
    agent: OfAgent = None,
) -> None:
    """One entry in full: who, what, why, and how it ended."""
    await explain(shell, ref, agent)


@command(app, "reveal")
async def reveal(
    shell: Shell, ref: EntryArg, *, reason: ReasonOption, agent: OfAgent = None
) -> None:
    """The recorded arguments of one call; that they were shown is on record first."""
    request = audit.AuditReveal(ref=ref, agent=agent, reason=reason)
    found = await shell.call(endpoints.AUDIT_REVEAL, request)
    shell.show(found, indented(found.arguments))


@command(app, "prove")
async def prove(
    shell: Shell, ref: EntryArg, *, reason: ReasonOption, agent: OfAgent = None
) -> None:
    """The proof of one decision as a file: `wicketd audit verify --proof F --key audit.pub`."""
    request = audit.AuditReveal(ref=ref, agent=agent, reason=reason)
    made = await shell.call(endpoints.AUDIT_PROVE, request)
    for sentence in made.missing:
        note(sentence)
    shell.show(made, safe_json(made.text))


@command(app, "facets")
async def facets(
    shell: Shell, *, agent: Annotated[str | None, typer.Option("--agent")] = None
) -> None:
    """Values that occur in the audit."""
    found = await shell.call(endpoints.AUDIT_FACETS, audit.FacetsAsk(agent=agent, limit=500))
    shell.show(found, table(("kind", "value"), [(item.kind, item.value) for item in found.items]))


@command(app, "export")
async def export(
    shell: Shell,
    filters: FiltersArg = None,
    *,
    form: Annotated[
        Literal["csv", "jsonl"], typer.Option("--format", help="jsonl can be verified alone.")
    ],
) -> None:
    """Entries as a stream: chained rows as JSON lines, or CSV."""
    request = parsed(audit.AuditExport, filters or (), format=form)
    async for line in shell.client.lines(endpoints.AUDIT_EXPORT, request):
        sys.stdout.write(line + "\n")


@command(app, "to-test")
async def to_test(
    shell: Shell,
    filters: FiltersArg = None,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many.")] = 100,
) -> None:
    """Real decisions of one agent as a file for `policy test`; arguments stay sealed."""
    request = parsed(audit.AuditList, filters or (), limit=limit)
    page = await shell.call(endpoints.AUDIT_LIST, request)
    entries = page.items[::-1]
    cases = list(cases_of(entries))
    if len({entry.agent_id for entry in entries if entry.decision is not None}) > 1:
        message = "These entries are of several agents. Name one with the filter agent:A."
        raise InputFailed(message)
    if not cases:
        message = "No entry was decided by policies. Widen the filters."
        raise InputFailed(message)
    say(written(cases))


@command(app, "checkpoint")
async def checkpoint(
    shell: Shell,
    *,
    list_only: Annotated[bool, typer.Option("--list", help="Only show what was signed.")] = False,
) -> None:
    """Sign the log as it stands and print the note; keep it off this host."""
    if list_only:
        found = await shell.call(endpoints.CHECKPOINT_LIST, Empty())
        rows = [(c.epoch, c.size, c.at, c.root) for c in found.items]
        shell.show(found, table(("epoch", "size", "at", "root"), rows))
        return
    made = await shell.call(endpoints.CHECKPOINT_MAKE, Empty())
    shell.show(made, made.note.rstrip("\n"))


async def explain(shell: Shell, ref: str, agent: str | None) -> None:
    """Prints one entry; `wicket why` does the same."""
    detail = await shell.call(endpoints.AUDIT_SHOW, audit.AuditRef(ref=ref, agent=agent))
    entry = detail.entry
    pairs = [
        ("what", f"{entry.service}__{entry.tool}" if entry.tool else entry.kind),
        ("decision", entry.decision),
        ("why", entry.reason_code),
        ("policies", entry.matched_policy_ids),
        ("outcome", entry.outcome),
        ("duration ms", entry.duration_ms),
        ("who", entry.member_name or entry.principal),
        ("key", entry.member_key_id),
        ("agent", entry.agent_name or entry.agent_id),
        ("session", entry.session_id),
        ("from", entry.caller_ip),
        ("resource", entry.resource),
        ("when", entry.timestamp),
        ("reference", entry.ref),
        ("row", f"{entry.seq} {entry.hash}"),
        *((name, value) for name, value in entry.fields.items()),
    ]
    shell.show(detail, facts([pair for pair in pairs if pair[1] not in (None, (), "", [], {})]))


def row(entry: audit.AuditEntry) -> tuple[object, ...]:
    """An entry as a line of the table."""
    return (
        entry.timestamp,
        entry.ref,
        entry.kind,
        entry.member_name,
        f"{entry.service}.{entry.tool}" if entry.tool else entry.service,
        entry.decision,
        entry.reason_code,
        entry.matched_policy_ids,
        entry.outcome,
        entry.duration_ms,
    )


def _line(entry: audit.AuditEntry) -> str:
    return "  ".join(cell(value) for value in row(entry))
