"""Chained logs without a database, and the key that signs them."""

from dataclasses import replace
from itertools import count

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wicketd.audit import checkpoint
from wicketd.audit.chain import GENESIS, Frontier, row_hash
from wicketd.audit.journal import Journal
from wicketd.audit.verify import Evidence
from wicketd.domain.audit import AuditRow, Entry, PolicyHit

INSTALL_ID = bytes(range(0x40, 0x50))


class Key:
    """An audit key."""

    def __init__(self, seed: int) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)

    @property
    def public(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)


KEY = Key(7)


class Numbers:
    """Ids and times that rise by one."""

    def __init__(self) -> None:
        self._count = count(1)

    def uuid7(self) -> str:
        return f"018f0000-0000-7000-8000-{next(self._count):012x}"

    def now_ms(self) -> int:
        return 1_800_000_000_000 + next(self._count)

    def monotonic_s(self) -> float:
        return 0.0


def chain(*entries: Entry) -> list[AuditRow]:
    """The rows of these entries, as the journal chains them."""
    numbers = Numbers()
    journal = Journal(None, numbers, numbers)  # type: ignore[arg-type]  # nothing is stored
    rows: list[AuditRow] = []
    prev, epoch = GENESIS, 1
    for seq, entry in enumerate(entries, 1):
        epoch += entry.kind == "audit.restored"
        rows.append(journal._chain(entry, seq, prev, epoch))
        prev = rows[-1].hash
    return rows


def call(number: int, **fields: object) -> tuple[Entry, Entry]:
    """The two rows of an allowed call."""
    call_id = f"018f0000-0000-7000-8000-ffff{number:08x}"
    determining = {"policyId": "p", "key": "reads", "version": 3, "statement": 1}
    intent = Entry(
        "call.intent",
        {"determining": [{**determining, "effect": "permit"}], "bytesIn": number, **fields},  # type: ignore[dict-item]  # JSON
        call_id=call_id,
        ref=f"{number:08d}",
        agent_id="agent",
        service="notes",
        tool="read",
        decision="ALLOW",
        policies=(PolicyHit("p", 3, 1, "permit", "enforce", "reads"),),
    )
    outcome = Entry(
        "call.outcome", {"outcome": "ok", "bytesIn": number, "durationMs": 5}, call_id=call_id
    )
    return intent, outcome


def log(calls: int = 5) -> list[AuditRow]:
    """Intent and outcome by turns, two rows a call."""
    return chain(*(entry for number in range(calls) for entry in call(number)))


def rechained(rows: list[AuditRow], start: int) -> list[AuditRow]:
    """Every hash from index `start` on computed anew: the work of a careful forger."""
    done = rows[:start]
    for row in rows[start:]:
        prev = done[-1].hash if done else GENESIS
        done.append(replace(row, prev=prev, hash=row_hash(prev, row.body)))
    return done


def note(rows: list[AuditRow], key: Key = KEY, epoch: int | None = None) -> str:
    """A checkpoint of exactly these rows."""
    frontier = Frontier()
    for row in rows:
        frontier = frontier.append(row.hash)
    epoch = epoch or (rows[-1].epoch if rows else 1)
    return checkpoint.sign(key, INSTALL_ID, epoch, frontier.size, frontier.root)


def evidence(*notes: str) -> Evidence:
    """The public key and checkpoints kept elsewhere."""
    return Evidence((KEY.public,), notes, INSTALL_ID)
