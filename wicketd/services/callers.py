"""Turns an `Authorization` header into a Caller, or into the one refusal that all bad keys share.

Counterpart of `vault.member_key` (format and verifier) and `storage.keys` (rows). A verified row is
kept in memory for at most a second and dropped by whoever changes it, so that a revocation holds
for the next request. Never caches a verdict: the HMAC is computed for every request.
Source: security spec, section 3; protocol spec, C5-C7 and C14.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from wicketd.domain.agents import AgentStatus
from wicketd.domain.audit import Entry
from wicketd.domain.calls import Caller, FrontRequest, Refusal, RefusalKind
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.members import MemberKey, MemberState
from wicketd.domain.ports import Clock, Database, Journal
from wicketd.domain.secret import SecretBytes
from wicketd.storage import keys as rows
from wicketd.vault import member_key
from wicketd.vault.keyring import Keyring

_FRESH_S: Final = 1.0
_FAILURES_PER_MINUTE: Final = 20
_BUCKETS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """`[rate]`: tokens a key may save up, tokens a second, longest wait, requests at once."""

    burst: int = 600
    per_second: float = 20.0
    wait_s: float = 2.0
    in_flight: int = 64


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class _Failures:
    minute: int
    count: int = 0


class Callers:
    """Identifies callers, throttles failures, hands out rate tokens and counts calls in flight."""

    def __init__(
        self,
        db: Database,
        journal: Journal,
        keyring: Keyring,
        clock: Clock,
        limits: Limits,
        used: Callable[[MemberKey, SecretBytes], None] = lambda _key, _secret: None,
    ) -> None:
        self._db = db
        self._journal = journal
        self._keyring = keyring
        self._clock = clock
        self._limits = limits
        self._used = used
        self._records: dict[str, tuple[float, rows.KeyRecord]] = {}
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._in_flight: dict[MemberId, int] = {}
        self._refused: dict[tuple[str, str, str], int] = {}
        self._forgotten = 0

    async def identify(self, request: FrontRequest) -> Caller | Refusal:
        """Verifies the key of a request and takes one of the member's places in flight.

        A Caller must be given back with `leave`, whatever happens to its request.
        """
        presented = request.values(b"authorization")
        if not presented:
            return self._failed(request.peer_ip, "", RefusalKind.NO_BEARER)
        parsed = _bearer(presented)
        if parsed is None:
            return self._failed(request.peer_ip, "", RefusalKind.BAD_KEY)
        record = await self._record(parsed.key_id)
        if not self._verified(parsed, record):
            return self._failed(request.peer_ip, parsed.key_id, RefusalKind.BAD_KEY)
        assert record is not None  # noqa: S101  # _verified is false for a missing record
        self._used(record.key, parsed.secret)
        member = record.member
        if self._in_flight.get(member.id, 0) >= self._limits.in_flight:
            self._count_refusal("rate.refused", request.peer_ip, parsed.key_id)
            return Refusal(RefusalKind.CONCURRENCY, retry_after_s=1)
        self._in_flight[member.id] = self._in_flight.get(member.id, 0) + 1
        agent = request.values(b"user-agent")
        return Caller(
            agent=record.agent,
            member=member,
            key_id=parsed.key_id,
            key_row=record.key.id,
            secret=parsed.secret,
            ip=request.peer_ip,
            user_agent=agent[0][:200].decode("latin-1") if agent else "",
            is_blocked=record.account_blocked,
        )

    def standing(self, caller: Caller) -> Refusal | None:
        """Whether agent, membership and account admit calls now (C7)."""
        if caller.agent.status is not AgentStatus.ACTIVE:
            return Refusal(RefusalKind.AGENT_DISABLED)
        if caller.member.state is not MemberState.APPROVED:
            return Refusal(RefusalKind.NOT_APPROVED)
        if caller.is_blocked:
            return Refusal(RefusalKind.BLOCKED)
        return None

    def leave(self, caller: Caller) -> None:
        """Gives the place in flight back."""
        left = self._in_flight.get(caller.member.id, 1) - 1
        if left:
            self._in_flight[caller.member.id] = left
        else:
            self._in_flight.pop(caller.member.id, None)

    async def take_token(self, caller: Caller) -> Refusal | None:
        """Takes a token of the key's bucket, waiting in order for at most `wait_s` (C14)."""
        bucket = self._bucket(caller.key_id)
        if bucket.tokens < 1 or bucket.turn.locked():
            return await self._wait_for_token(bucket, caller)
        self._refill(bucket)
        bucket.tokens -= 1
        return None

    def forget_key(self, key_id: str) -> None:
        """The key's row changed: the next request reads it anew."""
        self._forgotten += 1
        self._records.pop(key_id, None)

    def forget_member(self, member_id: MemberId) -> None:
        """The member's row or key changed."""
        self._drop(lambda record: record.member.id == member_id)

    def forget_agent(self, agent_id: AgentId) -> None:
        """The agent's row changed."""
        self._drop(lambda record: record.agent.id == agent_id)

    async def flush_refusals(self) -> int:
        """Writes one row per (kind, IP, key id) refused since the last flush; gives how many.

        Raises:
            AuditNotDurable: nothing was written; what was counted is kept.
        """
        counted, self._refused = self._refused, {}
        if not counted:
            return 0
        entries = [
            Entry(kind=kind, key_id=key_id or None, fields={"callerIp": ip, "count": count})
            for (kind, ip, key_id), count in counted.items()
        ]
        try:
            await self._db.write(lambda tx: [self._journal.append(tx, entry) for entry in entries])
        except BaseException:
            for slot, count in counted.items():
                self._refused[slot] = self._refused.get(slot, 0) + count
            raise
        return len(entries)

    async def _record(self, key_id: str) -> rows.KeyRecord | None:
        now = self._clock.monotonic_s()
        cached = self._records.get(key_id)
        if cached is not None and now - cached[0] < _FRESH_S:
            return cached[1]
        epoch = self._forgotten
        record = await self._db.one(rows.by_key_id(key_id))
        # A change that landed while we read must not be hidden by the older row for a second.
        if record is not None and epoch == self._forgotten:
            self._records[key_id] = (now, record)
        return record

    def _verified(self, parsed: member_key.ParsedKey, record: rows.KeyRecord | None) -> bool:
        """One HMAC and one comparison on every path: unknown ids take as long as wrong secrets."""
        key = record.key if record is not None else None
        kid = key.srv_kid if key is not None else self._keyring.active
        if kid not in self._keyring.kids:
            kid, key = self._keyring.active, None
        unknown = member_key.UNKNOWN
        computed = member_key.verifier(
            self._keyring.subkey(kid, "member-verifier"),
            parsed.key_id,
            key.agent_id if key is not None else unknown.agent_id,
            key.member_id if key is not None else unknown.member_id,
            parsed.secret,
        )
        expected = key.verifier if key is not None else unknown.verifier
        is_equal = member_key.matches(expected, computed)
        return is_equal and key is not None and key.ended_at is None

    def _failed(self, ip: str, key_id: str, kind: RefusalKind) -> Refusal:
        self._count_refusal("auth.refused", ip, key_id)
        over = [self._note_failure("ip", ip)]
        if key_id:
            over.append(self._note_failure("key", key_id))
        if any(over):
            return Refusal(RefusalKind.TOO_MANY_FAILURES, retry_after_s=60)
        return Refusal(kind)

    def _note_failure(self, axis: str, value: str) -> bool:
        minute = int(self._clock.monotonic_s() // 60)
        slot = self._failures.setdefault((axis, value), _Failures(minute))
        self._failures.move_to_end((axis, value))
        if len(self._failures) > _BUCKETS:
            self._failures.popitem(last=False)
        if slot.minute != minute:
            slot.minute, slot.count = minute, 0
        slot.count += 1
        return slot.count > _FAILURES_PER_MINUTE

    def _count_refusal(self, kind: str, ip: str, key_id: str) -> None:
        slot = (kind, ip, key_id)
        if slot in self._refused or len(self._refused) < _BUCKETS:
            self._refused[slot] = self._refused.get(slot, 0) + 1

    def _bucket(self, key_id: str) -> _Bucket:
        bucket = self._buckets.get(key_id)
        if bucket is None:
            bucket = _Bucket(tokens=self._limits.burst, at=self._clock.monotonic_s())
            self._buckets[key_id] = bucket
            if len(self._buckets) > _BUCKETS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key_id)
        return bucket

    def _refill(self, bucket: _Bucket) -> None:
        now = self._clock.monotonic_s()
        gained = (now - bucket.at) * self._limits.per_second
        bucket.tokens = min(float(self._limits.burst), bucket.tokens + gained)
        bucket.at = now

    async def _wait_for_token(self, bucket: _Bucket, caller: Caller) -> Refusal | None:
        try:
            async with asyncio.timeout(self._limits.wait_s), bucket.turn:
                self._refill(bucket)
                while bucket.tokens < 1:
                    await asyncio.sleep((1 - bucket.tokens) / self._limits.per_second)
                    self._refill(bucket)
                bucket.tokens -= 1
        except TimeoutError:
            self._count_refusal("rate.refused", caller.ip, caller.key_id)
            return Refusal(
                RefusalKind.RATE, retry_after_s=max(1, round(1 / self._limits.per_second))
            )
        return None

    def _drop(self, belongs: Callable[[rows.KeyRecord], bool]) -> None:
        self._forgotten += 1
        for key_id in [k for k, (_, record) in self._records.items() if belongs(record)]:
            del self._records[key_id]


def _bearer(presented: list[bytes]) -> member_key.ParsedKey | None:
    """Exactly one header, scheme Bearer in any case, one space, a well-formed key."""
    if len(presented) != 1 or presented[0][:7].lower() != b"bearer ":
        return None
    return member_key.parse(presented[0][7:])
