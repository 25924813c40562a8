"""Simulations as contract structs. Counterpart: `mapping`."""

from wicketd.admin import mapping
from wicketd.api.types import simulations as wire
from wicketd.domain.errors import BadRequest
from wicketd.domain.policies import Determining, Mode
from wicketd.domain.sessions import SessionFacts
from wicketd.policy.simulate import Asked, Explained, Shown, ShownStatement
from wicketd.services.rehearsals import DraftText, SetRecord
from wicketd.services.simulate import Hypothesis, Simulated


def hypothesis(asked: wire.Simulate) -> Hypothesis:
    """The call that is asked about.

    Raises:
        BadRequest: it has arguments of its own and an entry's.
        Invalid: the time is none.
    """
    if asked.entry is not None and asked.arguments:
        message = "Give arguments, or an entry to take them from, not both."
        raise BadRequest(message)
    session = asked.session or wire.SessionCounters()
    return Hypothesis(
        member=asked.member,
        tool=asked.tool,
        arguments=asked.arguments or {},
        entry=asked.entry,
        at_ms=None if asked.time is None else mapping.millis(asked.time),
        ip=asked.ip,
        session=SessionFacts(session.calls, session.denials, session.tools, session.age_seconds),
    )


def other_set(asked: wire.Simulate) -> DraftText | tuple[SetRecord, ...] | None:
    """What the call is decided under besides the stored set.

    Raises:
        BadRequest: it is two things.
    """
    if asked.draft is not None and asked.set is not None:
        message = "Give a draft or a whole set, not both."
        raise BadRequest(message)
    if asked.draft is not None:
        return draft(asked.draft)
    if asked.set is None:
        return None
    return tuple(
        SetRecord(one.key, one.text, one.enabled, Mode(one.mode), one.scope) for one in asked.set
    )


def draft(asked: wire.DraftText) -> DraftText:
    """A text to try."""
    return DraftText(asked.text, asked.policy, asked.scope)


def simulated(value: Simulated) -> wire.Simulated:
    """Both answers."""
    return wire.Simulated(
        now=_explanation(value.now),
        after=None if value.after is None else _explanation(value.after),
    )


def determining(value: Determining) -> wire.Determining:
    """A statement that decided."""
    return wire.Determining(
        policy=value.key,
        version=value.version,
        statement=value.statement,
        effect=value.effect.value,
        mode=value.mode.value,
    )


def _explanation(value: Explained) -> wire.Explanation:
    judged = value.judged
    return wire.Explanation(
        decision="ALLOW" if judged.allow else "DENY",
        reason=judged.reason,
        listed=value.listed,
        determining=tuple(map(determining, judged.determining)),
        messages=judged.deny_messages,
        errors=judged.errors,
        pointer=judged.pointer,
        expected=judged.expected,
        request=None if value.request is None else _request(value.request),
        statements=tuple(map(_statement, value.statements)),
        elsewhere=value.elsewhere,
    )


def _request(value: Asked) -> wire.SimulatedRequest:
    return wire.SimulatedRequest(
        principal=value.principal,
        action=value.action,
        resource=value.resource,
        parents=value.parents,
        context=value.context,
    )


def _statement(value: ShownStatement) -> wire.StatementTree:
    return wire.StatementTree(
        policy=value.key,
        version=value.version,
        statement=value.statement,
        effect=value.effect.value,
        mode=value.mode.value,
        text=value.text,
        outcome=value.outcome,
        error=value.error,
        parts=tuple(map(_part, value.parts)),
    )


def _part(value: Shown) -> wire.ConditionPart:
    return wire.ConditionPart(
        kind=value.kind,
        text=value.text,
        start=value.start,
        end=value.end,
        outcome=value.outcome,
        error=value.error,
        values=value.values,
        children=tuple(map(_part, value.children)),
    )
