"""Fills a database with a long, chained audit log, as that many calls would have left it.

Rows go through the real journal in large commits: hashes, indexes, facets and hourly counts are
those of a daemon. Only the calls themselves never happened.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from wicketd.audit.journal import Journal
from wicketd.domain.audit import Entry
from wicketd.domain.ids import CallId, call_ref, uuid7
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Tx
from wicketd.storage.audit import AuditTable
from wicketd.storage.db import SqliteDatabase

_COMMIT: Final = 500
TOOLS: Final = tuple(
    f"{verb}_{noun}" for verb in ("read", "create", "delete") for noun in ("page", "file", "note")
)
DENIED_EVERY: Final = 10


class Ticking:
    """A clock that goes 25 ms on with each reading: 1,000,000 rows are some days."""

    def __init__(self, began_ms: int) -> None:
        self._now_ms = began_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        self._now_ms += 25
        return self._now_ms

    def monotonic_s(self) -> float:
        """The same in seconds."""
        return self._now_ms / 1000


class Numbered:
    """Ids in order; a call's reference is made of the last digits of its id."""

    def __init__(self, clock: Ticking) -> None:
        self._clock = clock
        self._count = 0

    def uuid7(self) -> str:
        """The next id."""
        self._count += 1
        return uuid7(self._clock.now_ms(), self._count.to_bytes(10, "big"))


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose calls they are: ids, and the names that rows show."""

    agent_id: str
    members: tuple[tuple[str, str], ...]
    """Pairs of id and principal."""


async def fill(path: Path, owner: Owner, rows: int, *, until_ms: int) -> None:
    """Appends `rows` rows that end at about `until_ms`; no daemon may run."""
    clock = Ticking(until_ms - rows * 75)
    db = await SqliteDatabase.open(path, clock)
    ids = Numbered(clock)
    journal = Journal(AuditTable(), clock, ids)
    made = islice(_entries(owner, ids), rows)

    def commit(tx: Tx) -> int:
        return len([journal.append(tx, entry) for entry in islice(made, _COMMIT)])

    try:
        while await db.write(commit):
            pass
    finally:
        await db.close()


def _entries(owner: Owner, ids: Numbered) -> Iterator[Entry]:
    number = 0
    while True:
        number += 1
        call = CallId(ids.uuid7())
        member_id, name = owner.members[number % len(owner.members)]
        is_denied = number % DENIED_EVERY == 0
        tool = TOOLS[number % len(TOOLS)]
        columns: dict[str, Any] = {
            "agent_id": owner.agent_id,
            "member_id": member_id,
            "service": "pages",
            "tool": tool,
        }
        yield Entry(
            "call.denied" if is_denied else "call.intent",
            call_id=call,
            ref=call_ref(call),
            decision="DENY" if is_denied else "ALLOW",
            reason_code="no_permit" if is_denied else "permitted",
            fields=_seen(name, tool, number),
            duration_us=200 if is_denied else None,
            **columns,
        )
        if not is_denied:
            yield Entry(
                "call.outcome",
                call_id=call,
                fields={"outcome": "ok", "durationMs": 12, "bytesIn": 120, "bytesOut": 900},
                duration_us=12_000,
                **columns,
            )


def _seen(name: str, tool: str, number: int) -> JsonObject:
    return {
        "agentName": "Deploy bot",
        "memberName": name,
        "principal": f'Wicket::Member::"{name}"',
        "role": "member",
        "groups": ["platform"],
        "tags": [],
        "callerIp": "127.0.0.1",
        "userAgent": "client/1.0",
        "method": "tools/call",
        "protocolVersion": "2025-11-25",
        "requestId": str(number),
        "bytesIn": 120,
        "reason": "permitted",
        "policyRevision": 3,
        "policySetSha256": "ab" * 32,
        "schemaSha256": "cd" * 32,
        "determining": [],
        "evalUs": 200,
        "action": f'PagesMCP::Action::"{tool}"',
        "resource": f'Wicket::Tool::"pages__{tool}"',
        "parents": ['Wicket::Service::"pages"'],
        "context": {
            "input": {},
            "unmodelled": [],
            "session": {"calls": number % 40, "denials": 0, "tools": [], "ageSeconds": 60},
            "network": {"ip": {"__extn": {"fn": "ip", "arg": "127.0.0.1"}}},
        },
        "argsDigest": "ef" * 32,
        "argsState": "digest",
        "toolArgs": {"path": "string(12)"},
        "tier": "read",
        "toolHash": "12" * 32,
    }
