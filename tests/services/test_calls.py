"""Decide, record, settle on a real database and real policies."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.support.calling import BREAKER, CAP, NO_WIPING, Calling, break_disk, open_calling
from tests.support.state import ADMIN, tool
from wicketd.domain.agents import Trust
from wicketd.domain.calls import Call, Outcome, OutcomeStatus, Refusal, RefusalKind, Subject
from wicketd.domain.errors import AuditNotDurable
from wicketd.domain.ids import CallId, call_ref
from wicketd.domain.json import JsonObject
from wicketd.domain.policies import Reason
from wicketd.storage import audit


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Calling]:
    async with open_calling(tmp_path) as fresh:
        yield fresh


def oracle(names: list[str]) -> list[bool]:
    """What one client after the other would have been answered: three denials stop everything."""
    denials, let_through = 0, []
    for name in names:
        is_allowed = name == "look" and denials < 3
        denials += not is_allowed
        let_through.append(is_allowed)
    return let_through


@pytest.mark.parametrize("step", [1, 3, 7])
async def test_64_calls_at_once_let_through_what_one_after_the_other_would(
    calling: Calling, step: int
) -> None:
    await calling.policy("No wiping", NO_WIPING)
    await calling.policy("Circuit breaker", BREAKER)
    caller = await calling.caller()
    names = ["wipe" if number % (5 * step) == step else "look" for number in range(64)]
    got = await asyncio.gather(
        *(calling.is_let_through(calling.call(caller, name, session="one")) for name in names)
    )
    assert got == oracle(names)
    session = calling.sessions.resolve(calling.call(caller, session="one"))
    assert (session.calls, session.denials) == (64, oracle(names).count(False))
    (stored,) = await calling.sessions.list(caller.agent)
    assert stored == session


async def test_a_breaker_trips_for_its_session_alone(calling: Calling) -> None:
    await calling.policy("No wiping", NO_WIPING)
    await calling.policy("Circuit breaker", BREAKER)
    caller, other = await calling.caller("bob"), await calling.caller("eve")
    for _ in range(3):
        await calling.run(calling.call(caller, "wipe", session="one"))
    stopped = await calling.run(calling.call(caller, session="one"))
    assert isinstance(stopped, Refusal)
    assert stopped.values["messages"] == "Stopped after three denials."
    assert await calling.is_let_through(calling.call(caller, session="two"))
    assert await calling.is_let_through(calling.call(other, session="one"))


async def test_a_clash_of_references_draws_a_new_id(calling: Calling) -> None:
    caller = await calling.caller()
    first = calling.call(caller)
    assert await calling.is_let_through(first)
    twin = replace(calling.call(caller), id=CallId("01900000" + first.id[8:]))
    assert call_ref(twin.id) == call_ref(first.id)
    stored = await calling.run(twin)
    assert isinstance(stored, Call)
    assert call_ref(stored.id) != call_ref(first.id)
    row = await calling.last()
    assert (row.kind, row.call_id, row.ref) == ("call.intent", stored.id, call_ref(stored.id))
    refused = await calling.calls.refuse(caller, Refusal(RefusalKind.TOOL_NAME), first, None)
    assert refused.call_id not in {None, first.id}


async def test_references_of_other_agents_do_not_clash(calling: Calling) -> None:
    await calling.state.agent("other")
    mine, theirs = await calling.caller("bob"), await calling.caller("eve", "other")
    refusal = Refusal(RefusalKind.TOOL_NAME)
    first = await calling.calls.refuse(mine, refusal, calling.call(mine), None)
    twin = replace(calling.call(theirs), id=CallId(f"01900000{str(first.call_id)[8:]}"))
    assert (await calling.calls.refuse(theirs, refusal, twin, None)).call_id == twin.id


@pytest.mark.requirement("FC17")
async def test_a_call_keeps_the_policies_it_was_decided_under(calling: Calling) -> None:
    caller = await calling.caller()
    call = calling.call(caller, "wipe")
    decision = calling.decide(call)
    await calling.policy("No wiping", NO_WIPING)
    assert isinstance(await calling.calls.record(call, decision), Call)
    fields = msgspec.json.decode((await calling.last()).body)
    assert fields["policyRevision"] == decision.revision
    assert not await calling.is_let_through(calling.call(caller, "wipe"))
    after = msgspec.json.decode((await calling.last()).body)
    assert after["policyRevision"] == decision.revision + 1


async def refused(calling: Calling, call: Call) -> Refusal:
    """The refusal of a call that no policy was asked about, or that one denied."""
    decided = calling.calls.decide(call)
    if isinstance(decided, Refusal):
        return decided
    answer = await calling.calls.record(call, decided)
    assert isinstance(answer, Refusal)
    return answer


async def test_services_that_are_off_or_unknown_are_told_apart(calling: Calling) -> None:
    caller = await calling.caller()
    unknown = await refused(calling, calling.call(caller, service="nowhere"))
    off = await refused(calling, calling.call(caller, service="notes"))
    await calling.state.services.disable(ADMIN, "demo", "open")
    disabled = await refused(calling, calling.call(caller))
    assert [one.kind for one in (unknown, off, disabled)] == [
        RefusalKind.UNKNOWN_SERVICE,
        RefusalKind.SERVICE_OFF,
        RefusalKind.SERVICE_OFF,
    ]


@pytest.mark.requirement("FC19")
async def test_a_tool_that_is_not_stored_is_denied_like_any_other(calling: Calling) -> None:
    await calling.policy("No wiping", NO_WIPING)
    caller = await calling.caller()
    unknown = await refused(calling, calling.call(caller, "none"))
    denied = await refused(calling, calling.call(caller, "wipe"))
    assert (unknown.kind, unknown.values) == (
        RefusalKind.DENIED,
        {"tool": "none", "agent": "demo"},
    )
    assert (denied.kind, denied.values) == (RefusalKind.DENIED, {"tool": "wipe", "agent": "demo"})


@pytest.mark.parametrize(
    ("method", "subject"),
    [("prompts/get", Subject.PROMPT), ("resources/read", Subject.RESOURCE)],
)
async def test_prompts_and_resources_are_denied_by_name_unless_a_policy_permits_them(
    calling: Calling, method: str, subject: Subject
) -> None:
    call = replace(calling.call(await calling.caller(), "none"), method=method, subject=subject)
    assert calling.decide(call).allow
    action = "get_prompt" if subject is Subject.PROMPT else "read_resource"
    forbid = f'forbid (principal, action == Wicket::Action::"{action}", resource);'
    await calling.policy("Nothing else", forbid)
    decision = calling.decide(call)
    assert (decision.allow, decision.reason) == (False, Reason.FORBIDDEN)
    denied = await calling.calls.record(call, decision)
    assert isinstance(denied, Refusal)
    assert denied.values[subject.value] == "none"


async def test_the_built_in_service_has_no_prompts(calling: Calling) -> None:
    asked = calling.call(await calling.caller(), "status")
    call = replace(asked, service="wicket", method="prompts/get", subject=Subject.PROMPT)
    assert (await refused(calling, call)).values["prompt"] == "status"


async def test_an_argument_of_a_prompt_is_reported_as_what_no_policy_sees(calling: Calling) -> None:
    asked = calling.call(await calling.caller(), "none", arguments={"a": "b"})
    decision = calling.decide(replace(asked, method="prompts/get", subject=Subject.PROMPT))
    assert decision.request is not None
    assert decision.request.unmodelled == ("/a",)


async def test_an_agent_without_a_set_in_force_denies(calling: Calling) -> None:
    caller = await calling.caller()
    calling.state.snapshots.drop(caller.agent.id)
    assert calling.decide(calling.call(caller)).reason is Reason.SNAPSHOT_MISSING


@pytest.mark.requirement("FC22")
async def test_an_argument_cedar_cannot_hold_is_told_to_who_sees_the_tool(
    calling: Calling,
) -> None:
    await calling.policy("Cap", CAP)
    caller = await calling.caller()
    forged: JsonObject = {"amount": 1, "__entity": {"type": "x", "id": "y"}}
    for arguments in ({"amount": 1.23456}, forged):
        answer = await refused(calling, calling.call(caller, "pay", arguments=arguments))
        assert answer.kind is RefusalKind.ARGUMENTS
        assert answer.values["pointer"].startswith("/")
        assert (await calling.last()).reason_code == "not_representable"


async def test_a_hidden_tool_says_nothing_about_its_arguments(calling: Calling) -> None:
    await calling.policy("Cap", CAP)
    await calling.policy("No paying", NO_WIPING.replace("wipe", "pay"))
    call = calling.call(await calling.caller(), "pay", arguments={"amount": 1.23456})
    answer = await refused(calling, call)
    assert (answer.kind, dict(answer.values)) == (
        RefusalKind.DENIED,
        {"tool": "pay", "agent": "demo"},
    )


async def test_strict_arguments_refuse_what_no_policy_names(tmp_path: Path) -> None:
    async with open_calling(tmp_path, strict=True) as calling:
        call = calling.call(await calling.caller(), "pay", arguments={"amount": 1.23456})
        assert (await refused(calling, call)).kind is RefusalKind.ARGUMENTS


async def test_an_untrusted_agent_needs_a_policy_of_the_member(tmp_path: Path) -> None:
    async with open_calling(tmp_path, trust=Trust.UNTRUSTED) as calling:
        caller = await calling.caller()
        assert await calling.is_let_through(calling.call(caller)) is False
        assert (await calling.last()).reason_code == Reason.NO_MEMBER_POLICY.value


async def test_a_held_tool_says_that_it_awaits_review(calling: Calling) -> None:
    caller = await calling.caller()
    call = calling.call(caller)
    held = replace(calling.decide(call), allow=False, reason=Reason.TOOL_HELD)
    answer = await calling.calls.record(call, held)
    assert isinstance(answer, Refusal)
    assert (answer.kind, answer.values) == (RefusalKind.HELD, {"tool": "look"})


@pytest.mark.requirement("FC1")
async def test_nothing_is_left_of_an_intent_that_was_not_durable(calling: Calling) -> None:
    caller = await calling.caller()
    call = calling.call(caller)
    decision = calling.decide(call)
    before = await calling.state.recorded()
    await break_disk(calling.state.db)
    with pytest.raises(AuditNotDurable):
        await calling.calls.record(call, decision)
    assert await calling.state.recorded() == before
    assert calling.calls._counted == {}


async def test_an_outcome_closes_its_intent(calling: Calling) -> None:
    call = calling.call(await calling.caller())
    stored = await calling.run(call)
    assert isinstance(stored, Call)
    assert [row.call_id for row in await calling.state.db.all(audit.open_intents(""))] == [call.id]
    await calling.calls.settle(stored, Outcome(OutcomeStatus.TOOL_ERROR))
    assert await calling.state.db.all(audit.open_intents("")) == []


async def test_a_tool_that_vanished_from_its_server_is_gone(calling: Calling) -> None:
    caller = await calling.caller()
    calling.state.upstreams.lists["open"] = [tool("look")]
    await calling.state.services.discover(ADMIN, "demo", "open")
    assert (await refused(calling, calling.call(caller, "wipe"))).kind is RefusalKind.DENIED
