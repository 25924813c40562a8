"""Recorded decisions made once more under their own revision: a difference is a fault, not a flip.

Counterpart of `services.replay`, which runs it. Invariant: a row is only verified under the very
set and schema whose hashes it carries; where one of them cannot be rebuilt, the row is unmatched.
Source: policy spec, 7.3.
"""

from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import msgspec

from wicketd.domain.audit import AuditRow
from wicketd.domain.ids import AgentId, PolicyRevision
from wicketd.domain.policies import Mode, PolicyVersion
from wicketd.domain.ports import Database
from wicketd.policy.replay import Replayed
from wicketd.policy.revisions import set_sha256
from wicketd.policy.schema import render
from wicketd.services.policy_sets import SetNow
from wicketd.services.rehearsals import Rehearsals
from wicketd.services.replay_rows import (
    Before,
    Opener,
    Page,
    ReplayChild,
    Tally,
    targets,
    unasked,
)
from wicketd.services.schema_archive import views_under
from wicketd.storage import policies

SCHEMA_CHANGED: Final = "schema_changed"
"""The tools of the row's time are not kept: it was written by an older release."""
SET_MISSING: Final = "set_missing"


class _Stamp(msgspec.Struct, frozen=True, rename="camel"):
    """What a decision says it was made with; hashes are hex."""

    policy_revision: int = 0
    policy_set_sha256: str = ""
    schema_sha256: str = ""


@dataclass(frozen=True, slots=True)
class _Tools:
    """Tools that give one schema, over the agent's set; `opener` maps targets by their rules."""

    schema_sha256: str
    now: SetNow
    opener: Opener


class Verifier:
    """Verifies one agent's rows, page by page, with one policy child."""

    def __init__(self, db: Database, rehearsals: Rehearsals, now: SetNow, opener: Opener) -> None:
        self._db = db
        self._rehearsals = rehearsals
        self._today = _Tools(render(list(now.views.values())).sha256.hex(), now, opener)
        self._tools = self._today
        self._loaded: _Stamp | None = None

    async def decide(self, child: ReplayChild, page: Page, tally: Tally) -> None:
        """Counts a page. Raises what the child raises."""
        for stamp, rows in groupby(page, lambda one: _stamp(one[0])):
            tools = await self._under(stamp.schema_sha256)
            opener = (tools or self._today).opener
            asked: list[Before] = []
            for row, envelope in rows:
                opened = opener.opened(row, envelope)
                if opened is None:
                    tally.skip(row)
                else:
                    asked.append(opened)
            reason = await self._load(child, stamp, tools) if asked else None
            await self._group(child, reason, asked, tally)

    async def _under(self, schema_sha256: str) -> _Tools | None:
        """The tools that gave a schema; None if they are not known any more."""
        for known in (self._today, self._tools):
            if known.schema_sha256 == schema_sha256:
                return known
        views = await views_under(self._db, schema_sha256)
        if views is None:
            return None
        now = replace(self._today.now, views={view.key: view for view in views})
        self._tools = _Tools(schema_sha256, now, Opener(self._rehearsals.recorded, targets(views)))
        return self._tools

    async def _group(
        self, child: ReplayChild, reason: str | None, asked: list[Before], tally: Tally
    ) -> None:
        """Counts rows under the set in the child, or all as unmatched for a reason."""
        calls = [one.call for one in asked if one.call is not None]
        found: dict[int, Replayed] = {}
        if reason is None and calls:
            found = {one.seq: one for one in await child.rows(calls)}
        for one in asked:
            missing = unasked(one) if reason is None else Replayed(one.row.seq, reason)
            tally.verify(one, found.get(one.row.seq) or missing)

    async def _load(self, child: ReplayChild, stamp: _Stamp, tools: _Tools | None) -> str | None:
        """Puts the set of a stamp over its tools into the child; why not, if it cannot."""
        if tools is None:
            return SCHEMA_CHANGED
        if stamp == self._loaded:
            return None
        records = await self._records(stamp)
        if records is None:
            return SET_MISSING
        live = [one for one in records if one.mode is Mode.ENFORCE]
        self._loaded = None
        await child.replay(self._rehearsals.setup(tools.now, live, is_blocked=False))
        self._loaded = stamp
        return None

    async def _records(self, stamp: _Stamp) -> list[PolicyVersion] | None:
        """The versions in force at a revision; None if they are not those that decided."""
        records = await set_at(self._db, self._today.now.agent.id, stamp.policy_revision)
        return records if set_sha256(records).hex() == stamp.policy_set_sha256 else None


async def set_at(db: Database, agent_id: AgentId, revision: int) -> list[PolicyVersion]:
    """The versions that a revision was made of, as far as they are there; none if it is unknown."""
    stored = await db.one(policies.revision(agent_id, PolicyRevision(revision)))
    if stored is None:
        return []
    named = msgspec.json.decode(stored.manifest, type=list[tuple[str, int]])
    found: list[PolicyVersion] = []
    for key, number in named:
        version = await db.one(policies.version(agent_id, key, number))
        found += [] if version is None else [version]
    return found


def _stamp(row: AuditRow) -> _Stamp:
    return msgspec.json.decode(row.body, type=_Stamp)
