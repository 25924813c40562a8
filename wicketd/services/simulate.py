"""What a call would be answered that nobody makes: now, and with a draft or another set.

The same steps as of a real call (`services.calls`), without counters and without a row; deciding
and explaining is the policy child's. Source: policy spec, section 7.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from wicketd.connectors.mapping import CompiledRule, Unresolved
from wicketd.domain.calls import RefusalKind
from wicketd.domain.catalogue import ToolStatus
from wicketd.domain.errors import BadRequest, Invalid
from wicketd.domain.json import JsonObject
from wicketd.domain.sessions import TOOLS_IN_CONTEXT, SessionFacts
from wicketd.policy.entities import address
from wicketd.policy.schema import render
from wicketd.policy.setups import Setup
from wicketd.policy.simulate import Explained, HypotheticalCall, Judged
from wicketd.services import find
from wicketd.services.audit import AuditLog
from wicketd.services.desk import Desk
from wicketd.services.policy_sets import SetNow
from wicketd.services.rehearsals import DraftText, Rehearsals, SetRecord, replaced

NOBODY: Final = SessionFacts(0, 0, (), 0)
HERE: Final = "127.0.0.1"
"""Where a call comes from if nobody says."""
_LAST_MS: Final = 253_370_764_800_000
"""The year 9999: what the engine's times end with."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A call as people describe it.

    `tool`: as clients name it, `service__tool`. `entry`: an audit entry whose sealed arguments are
    taken instead of `arguments`. `at_ms` None: now.
    """

    member: str
    tool: str
    arguments: JsonObject
    entry: str | None = None
    at_ms: int | None = None
    ip: str = HERE
    session: SessionFacts = NOBODY


@dataclass(frozen=True, slots=True)
class Simulated:
    """What is decided under the set in force and, if one was given, under the other."""

    now: Explained
    after: Explained | None


class Simulations:
    """The use case behind `policy simulate` and `policy test`."""

    def __init__(self, desk: Desk, rehearsals: Rehearsals, log: AuditLog) -> None:
        self._desk = desk
        self._rehearsals = rehearsals
        self._log = log

    async def simulate(
        self,
        agent: str,
        given: Hypothesis,
        other: DraftText | Sequence[SetRecord] | None = None,
    ) -> Simulated:
        """Decides the call in thought; nothing is counted or written.

        Raises:
            NotFound: there is no such agent, member, policy or entry.
            Invalid: time, address or counters do not exist.
            BadRequest: the entry is no call of this tool.
            Conflict: the entry's arguments are not kept.
            PolicyInvalid: the draft or a text of the set has errors.
            Unhealthy: the stored set does not verify, or the policy child stopped.
        """
        now = await self._rehearsals.live(agent)
        call = await self._call(now, given)
        sets = [now.records]
        if isinstance(other, DraftText):
            draft = await self._rehearsals.drafted(now, other)
            sets.append(tuple(replaced(now.records, draft)))
        elif other is not None:
            sets.append(tuple(await self._rehearsals.brought(now, other)))
        found = await self._explained(now, call, self._rehearsals.setup(now, *sets))
        return Simulated(found[0], found[1] if len(found) > 1 else None)

    async def _explained(
        self, now: SetNow, call: HypotheticalCall, setup: Setup
    ) -> Sequence[Explained]:
        refusal = _refusal(now, call)
        if refusal is not None:
            judged = Judged(allow=False, reason=refusal.value)
            return [Explained(judged, None, listed=False, statements=(), elsewhere=0)] * len(
                setup.sets
            )
        return await self._rehearsals.simulate(setup, _mapped(now, call))

    async def _call(self, now: SetNow, given: Hypothesis) -> HypotheticalCall:
        member = await find.read_member(self._desk.db, now.agent, given.member)
        service, mark, name = given.tool.partition("__")
        if not mark or not name:
            message = (
                f"{given.tool[:80]!r} names no tool. "
                "Write service__tool, as clients see it: notes__search."
            )
            raise Invalid(message)
        arguments = given.arguments
        if given.entry is not None:
            arguments = await self._of_entry(now, given.entry, (service, name))
        return HypotheticalCall(
            member=member,
            service=service,
            name=name,
            arguments=arguments,
            at_ms=self._at(given.at_ms),
            session=_counted(given.session),
            ip=_address(given.ip),
            is_sealed=given.entry is not None,
        )

    async def _of_entry(self, now: SetNow, ref: str, at: tuple[str, str]) -> JsonObject:
        row = (await self._log.get(ref, now.agent.id))[0]
        if (row.service, row.tool) != at:
            message = f"Entry {ref[:80]} is no call of {at[0]}__{at[1]}. Name its own tool."
            raise BadRequest(message)
        return await self._rehearsals.recorded.of(row)

    def _at(self, at_ms: int | None) -> int:
        if at_ms is None:
            return self._desk.clock.now_ms()
        if not 0 <= at_ms <= _LAST_MS:
            message = "This time is before 1970 or after 9998. Give one that a call can have."
            raise Invalid(message)
        return at_ms


def _refusal(now: SetNow, call: HypotheticalCall) -> RefusalKind | None:
    """What stops the call before any policy is asked, as `services.calls` does."""
    view = now.views.get(call.service)
    if view is None:
        return RefusalKind.UNKNOWN_SERVICE
    if not view.is_enabled:
        return RefusalKind.SERVICE_OFF
    is_there = any(
        tool.name == call.name and tool.status is ToolStatus.ACTIVE for tool in view.tools
    )
    return None if is_there else RefusalKind.DENIED


def _mapped(now: SetNow, call: HypotheticalCall) -> HypotheticalCall:
    """The call with the resource that its arguments name."""
    view = now.views[call.service]
    shape = render([view]).shapes.get((call.service, call.name))
    if shape is None or shape.target is None:
        return call
    target = CompiledRule.of(shape.target).resolve(view.namespace, call.arguments)
    if isinstance(target, Unresolved):
        unresolved = (target.pointer, target.expected)
        return msgspec.structs.replace(call, unresolved=unresolved)
    return msgspec.structs.replace(call, target=target)


def _counted(session: SessionFacts) -> SessionFacts:
    if min(session.calls, session.denials, session.age_seconds) < 0:
        message = "Counters of a session start at 0. Give none below."
        raise Invalid(message)
    return replace(session, tools=session.tools[:TOOLS_IN_CONTEXT])


def _address(ip: str) -> str:
    try:
        return address(ip)
    except ValueError as error:
        message = f"{ip[:60]!r} is no address of one host. Write one such as 10.0.0.7."
        raise Invalid(message) from error
