"""Tool sessions: whose a call is, what is counted, what outlives a restart."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.calling import (
    CAP,
    NO_WIPING,
    Calling,
    break_disk,
    mend_disk,
    open_calling,
    sessions_over,
)
from tests.support.state import ADMIN
from wicketd.domain.agents import Trust
from wicketd.domain.calls import Refusal
from wicketd.domain.errors import AuditNotDurable, Conflict, NotFound
from wicketd.domain.sessions import IDLE_MS, SessionEnd


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Calling]:
    async with open_calling(tmp_path) as fresh:
        yield fresh


async def test_the_id_of_a_conversation_is_one_session(calling: Calling) -> None:
    caller = await calling.caller()
    for name in ("one", "one", "two"):
        await calling.run(calling.call(caller, session=name))
    found = await calling.sessions.list(caller.agent)
    assert sorted((one.external_id, one.calls) for one in found) == [("one", 2), ("two", 1)]
    assert {one.id_source for one in found} == {"x-mcp-session-id"}


async def test_a_client_without_an_id_has_the_session_of_its_fingerprint(calling: Calling) -> None:
    caller = await calling.caller()
    await calling.run(calling.call(caller))
    (session,) = await calling.sessions.list(caller.agent)
    assert (session.external_id, session.id_source) == (None, "fingerprint")


@pytest.mark.requirement("N4")
async def test_the_same_id_of_two_members_is_never_the_same_session(calling: Calling) -> None:
    one, other = await calling.caller("bob"), await calling.caller("eve")
    mine = calling.sessions.resolve(calling.call(one, session="same"))
    theirs = calling.sessions.resolve(calling.call(other, session="same"))
    assert mine is not theirs
    assert mine.external_mac != theirs.external_mac


async def test_the_same_value_from_another_source_is_another_session(calling: Calling) -> None:
    caller = await calling.caller()
    named = calling.sessions.resolve(calling.call(caller, session="f" * 64))
    assert calling.sessions.resolve(calling.call(caller)) is not named


async def test_a_call_of_an_untrusted_agent_counts_for_its_key_whatever_id_it_brings(
    tmp_path: Path,
) -> None:
    async with open_calling(tmp_path, trust=Trust.UNTRUSTED) as calling:
        caller = await calling.caller()
        sessions = {
            calling.sessions.resolve(calling.call(caller, session=name)).id
            for name in ("one", "two")
        }
        assert len(sessions) == 1


async def test_allowed_and_denied_calls_are_counted_on_their_sides(calling: Calling) -> None:
    await calling.policy("No wiping", NO_WIPING)
    caller = await calling.caller()
    for name in ("look", "look", "wipe"):
        await calling.run(calling.call(caller, name))
    (stored,) = await calling.sessions.list(caller.agent)
    session = await calling.sessions.get(caller.agent, stored.id)
    assert (session.calls, session.denials) == (3, 1)
    assert session.tools == {"open__look": 2}
    assert session.allow_counts == {"baseline-open": 2}
    assert session.deny_counts == {"no-wiping": 1}


async def test_arguments_that_no_policy_saw_count_nothing(calling: Calling) -> None:
    await calling.policy("Cap", CAP)
    caller = await calling.caller()
    refused = await calling.run(calling.call(caller, "pay", arguments={"amount": 1.23456}))
    assert isinstance(refused, Refusal)
    assert await calling.sessions.list(caller.agent) == []


async def test_a_restart_keeps_sessions_and_their_counts(calling: Calling) -> None:
    await calling.policy("No wiping", NO_WIPING)
    caller = await calling.caller()
    for name in ("look", "wipe", "look"):
        await calling.run(calling.call(caller, name, session="one"))
    restarted = sessions_over(calling.state)
    await restarted.load()
    before = calling.sessions.resolve(calling.call(caller, session="one"))
    after = restarted.resolve(calling.call(caller, session="one"))
    assert after == before
    assert restarted.running(caller.agent.id) == 1


async def test_a_call_that_did_not_become_durable_is_counted_back(calling: Calling) -> None:
    caller = await calling.caller()
    await calling.run(calling.call(caller))
    await break_disk(calling.state.db)
    with pytest.raises(AuditNotDurable):
        await calling.run(calling.call(caller))
    session = calling.sessions.resolve(calling.call(caller))
    assert (session.calls, session.tools) == (1, {"open__look": 1})
    await mend_disk(calling.state.db)
    await calling.run(calling.call(caller))
    restarted = sessions_over(calling.state)
    await restarted.load()
    assert restarted.resolve(calling.call(caller)).calls == 2


async def test_half_an_hour_of_silence_ends_a_session(calling: Calling) -> None:
    caller = await calling.caller()
    await calling.run(calling.call(caller))
    calling.state.clock.ms += IDLE_MS
    assert await calling.sessions.sweep() == 0
    calling.state.clock.ms += 1
    assert await calling.sessions.sweep() == 1
    (session,) = await calling.sessions.list(caller.agent)
    assert session.terminated_reason is SessionEnd.INACTIVITY
    assert (await calling.last()).kind == "session.ended"
    assert calling.sessions.running(caller.agent.id) == 0


async def test_a_call_after_the_silence_starts_from_zero_even_before_any_sweep(
    calling: Calling,
) -> None:
    caller = await calling.caller()
    await calling.run(calling.call(caller, session="one"))
    calling.state.clock.ms += IDLE_MS + 1
    for _ in range(2):
        assert await calling.is_let_through(calling.call(caller, session="one"))
    kinds = await calling.state.kinds()
    assert (kinds.count("session.started"), kinds.count("session.ended")) == (2, 1)
    running = await calling.sessions.list(caller.agent, active=True)
    ended = await calling.sessions.list(caller.agent, active=False)
    assert [one.calls for one in running] == [2]
    assert [one.terminated_reason for one in ended] == [SessionEnd.INACTIVITY]
    assert await calling.sessions.sweep() == 0


async def test_a_reset_lets_the_client_go_on_from_zero(calling: Calling) -> None:
    caller = await calling.caller()
    await calling.run(calling.call(caller))
    (session,) = await calling.sessions.list(caller.agent)
    ended = await calling.sessions.reset(ADMIN, caller.agent, session.id)
    assert ended.terminated_reason is SessionEnd.MANUAL_RESET
    assert calling.sessions.resolve(calling.call(caller)).calls == 0
    with pytest.raises(Conflict):
        await calling.sessions.reset(ADMIN, caller.agent, session.id)
    with pytest.raises(NotFound):
        await calling.sessions.get(caller.agent, "ts_none")


async def test_sessions_end_with_their_key_in_its_transaction(calling: Calling) -> None:
    caller, other = await calling.caller("bob"), await calling.caller("eve")
    for one in (caller, other):
        await calling.run(calling.call(one))
    let_go = await calling.state.db.write(
        lambda tx: calling.sessions.end_of_key(tx, caller.key_row)
    )
    let_go()
    left = await calling.sessions.list(caller.agent, active=True)
    assert [one.member_id for one in left] == [other.member.id]
    (gone,) = await calling.sessions.list(caller.agent, active=False)
    assert gone.terminated_reason is SessionEnd.KEY_ENDED
    assert calling.sessions.running(caller.agent.id) == 1
