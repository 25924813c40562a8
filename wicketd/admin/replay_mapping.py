"""Replays as contract structs. Counterpart: `mapping`."""

from collections import Counter
from collections.abc import Iterable

from wicketd.admin import simulation_mapping
from wicketd.admin.audit_filters import resolved
from wicketd.admin.mapping import iso, iso_or_none
from wicketd.admin.usecases import UseCases
from wicketd.api.types import replays as wire
from wicketd.api.types.audit import AuditFilters as Asked
from wicketd.policy.replay import Redecided
from wicketd.services.replay import Replay, ReplayAsk
from wicketd.services.replay_rows import ALLOW_DENY, DENY_ALLOW, TOP, ReplayRow


async def ask(uses: UseCases, asked: wire.ReplayCreate) -> ReplayAsk:
    """What is to be replayed.

    Raises:
        NotFound: there is no such agent or member.
        Invalid: a time is no time.
    """
    filters = Asked(
        agent=asked.agent,
        since=asked.since,
        until=asked.until,
        service=asked.service,
        tool=asked.tool,
        member=asked.member,
        session=asked.session,
    )
    return ReplayAsk(
        filters=await resolved(uses, filters),
        draft=None if asked.draft is None else simulation_mapping.draft(asked.draft),
        policy=asked.policy,
        version=asked.version,
        verify=asked.verify,
    )


def replay(value: Replay) -> wire.Replay:
    """A replay and its counts."""
    tally = value.tally
    return wire.Replay(
        id=value.id,
        agent=value.agent,
        state=value.state.value,
        error=value.error,
        policy=value.key,
        started_at=iso(value.started_at),
        ended_at=iso_or_none(value.ended_at),
        reached=iso_or_none(tally.reached_ms),
        rows=tally.rows,
        refused=tally.refused,
        matched=tally.matched,
        before=_verdicts(tally.before),
        baseline=_verdicts(tally.baseline),
        after=_verdicts(tally.after),
        changed=tally.changed.total(),
        allow_deny=tally.changed[ALLOW_DENY],
        deny_allow=tally.changed[DENY_ALLOW],
        differing=tally.differing,
        uses_session=tally.uses_session,
        faults=tally.faults,
        unmatched=dict(sorted(tally.unmatched.items())),
        by_tool=_named(tally.by_tool),
        by_member=_named(tally.by_member),
        lists=tuple(
            wire.ListChange(member=one.member, gains=one.gains, loses=one.loses)
            for one in tally.lists
        ),
        kept=len(tally.kept),
        is_cut=tally.is_cut,
    )


def row(value: ReplayRow) -> wire.ReplayRow:
    """One row of a replay."""
    return wire.ReplayRow(
        seq=value.seq,
        timestamp=iso(value.ts),
        ref=value.ref,
        member=value.member,
        service=value.service,
        tool=value.tool,
        resource=value.resource,
        before=_word(allowed=value.before),
        baseline_decision=_decision(value.baseline),
        after=_decision(value.after),
        reason=None if value.after is None else value.after.reason,
        flip=value.flip,
        determining_before=value.determining_before,
        determining_after=_determining(value.after),
        unmatched=value.unmatched,
        uses_session=value.uses_session,
    )


def _determining(value: Redecided | None) -> tuple[str, ...]:
    found = () if value is None else value.determining
    return tuple(f"{one.key}@{one.version}#{one.statement}" for one in found)


def _decision(value: Redecided | None) -> str | None:
    return None if value is None else _word(allowed=value.allow)


def _word(*, allowed: bool) -> str:
    return "ALLOW" if allowed else "DENY"


def _verdicts(counts: Counter[bool]) -> wire.Verdicts:
    return wire.Verdicts(allow=counts[True], deny=counts[False])


def _named(counts: Counter[str]) -> tuple[wire.Named, ...]:
    top: Iterable[tuple[str, int]] = counts.most_common(TOP)
    return tuple(wire.Named(name=name, count=count) for name, count in top)
