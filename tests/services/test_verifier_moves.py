"""Verifiers follow a rotation at their next use; a seal half not the key's own is told."""

import pytest

from tests.support.calling import calling_over
from tests.support.front_door import Door
from tests.support.rotation import rotate
from tests.support.state import State
from tests.support.visitors import joined
from wicketd.domain.calls import Caller
from wicketd.domain.errors import AuditNotDurable, Unhealthy
from wicketd.domain.members import MemberKey
from wicketd.domain.ports import Statement
from wicketd.services.events import Topic
from wicketd.services.keys import IssuedKey
from wicketd.storage import keys


async def row(state: State, issued: IssuedKey) -> MemberKey:
    record = await state.db.one(keys.by_key_id(issued.row.key_id))
    assert record is not None
    return record.key


async def made(state: State) -> tuple[IssuedKey, Door]:
    ann, member = await joined(state)
    return await state.keys.issue_own(ann, member.agent_id), Door(state)


async def test_a_use_moves_both_macs_to_the_active_key(state: State) -> None:
    issued, door = await made(state)
    rotate(state)
    assert await door.knock(issued.text.reveal())
    assert await door.moves.flush() == 1
    stored = await row(state, issued)
    assert stored.srv_kid == "k2"
    assert stored.seal_public == issued.row.seal_public
    assert door.forgotten == [issued.row.key_id]
    rotate(state, "k2", without=("k1",))
    assert await door.knock(issued.text.reveal()), (
        "the moved verifier must stand without the old key"
    )
    assert await door.moves.flush() == 0


async def test_deposits_are_made_to_a_key_that_moved(state: State) -> None:
    ann, member = await joined(state)
    issued, door = await state.keys.issue_own(ann, member.agent_id), Door(state)
    rotate(state)
    await door.knock(issued.text.reveal())
    await door.moves.flush()
    rotate(state, "k2", without=("k1",))
    deposit = await state.connections.set_own_static(ann, member.agent_id, "notes", b"t")
    assert (deposit.sealed_suite, deposit.outer_kid) == (2, "k2")


async def test_without_a_use_the_old_key_goes_on_verifying(state: State) -> None:
    issued, door = await made(state)
    rotate(state)
    assert await door.moves.flush() == 0
    assert (await row(state, issued)).srv_kid == "k1"
    assert await door.knock(issued.text.reveal())


async def test_a_key_whose_server_key_is_gone_is_refused(state: State) -> None:
    issued, door = await made(state)
    rotate(state, without=("k1",))
    assert not await door.knock(issued.text.reveal())


async def test_many_uses_make_one_move(state: State) -> None:
    issued, door = await made(state)
    rotate(state)
    for _ in range(5):
        assert await door.knock(issued.text.reveal())
    assert await door.moves.flush() == 1


async def test_a_move_that_could_not_be_written_is_written_later(state: State) -> None:
    issued, door = await made(state)
    rotate(state)
    await door.knock(issued.text.reveal())
    await state.db.maintain(lambda one: one.execute("PRAGMA max_page_count = 1"))
    filler = Statement("INSERT INTO meta (key, value) VALUES ('filler', ?)", ("x" * 1_000_000,))
    with pytest.raises(AuditNotDurable):
        await state.db.write(lambda tx: tx.run(filler))
    with pytest.raises(AuditNotDurable):
        await door.moves.flush()
    assert await door.knock(issued.text.reveal()), "a call does not wait for a move"
    await state.db.maintain(lambda one: one.execute("PRAGMA max_page_count = 1000000"))
    await state.db.probe()
    assert await door.moves.flush() == 1


async def test_a_key_that_ended_meanwhile_is_not_moved(state: State) -> None:
    ann, member = await joined(state)
    issued, door = await state.keys.issue_own(ann, member.agent_id), Door(state)
    rotate(state)
    await door.knock(issued.text.reveal())
    await state.keys.revoke_own(ann, member.agent_id)
    await door.moves.flush()
    assert (await row(state, issued)).srv_kid == "k1"


async def test_a_seal_half_that_is_not_the_keys_own_is_told_once_and_not_made_good(
    state: State,
) -> None:
    ann, member = await joined(state)
    issued, door = await state.keys.issue_own(ann, member.agent_id), Door(state)
    edit = Statement("UPDATE member_keys SET seal_public = ?", (bytes(range(32)),))
    await state.db.write(lambda tx: tx.run(edit))
    events = state.desk.events.subscribe(frozenset({Topic.STATUS}))
    rotate(state)
    assert await door.knock(issued.text.reveal())
    assert await door.knock(issued.text.reveal())
    assert await door.moves.flush() == 0
    batch = await events.next(0.1)
    alarms = [event.data for event in (batch.events if batch else ())]
    assert alarms == [{"alarm": "seal_public_forged", "key": issued.row.key_id}]
    with pytest.raises(Unhealthy, match="does not match its checksum"):
        await state.connections.set_own_static(ann, member.agent_id, "notes", b"t")


async def test_a_tool_session_goes_on_through_a_rotation(state: State) -> None:
    calling = calling_over(state)
    await state.agent()
    caller: Caller = await calling.caller()
    call = calling.call(caller, session="one")
    before = calling.sessions.resolve(call)
    rotate(state)
    assert calling.sessions.resolve(calling.call(caller, session="one")) is before
    rotate(state, "k2", without=("k1",))
    assert calling.sessions.resolve(calling.call(caller, session="one")) is before
