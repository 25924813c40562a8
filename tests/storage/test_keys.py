"""A key is found by its public id with everything a call must know, and ends once."""

from dataclasses import replace

import pytest

from tests.storage.rows import AGENT, AT, MEMBER, agent, key, member, run
from tests.storage.test_members import _account
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import AgentId
from wicketd.domain.members import KeyState
from wicketd.domain.ports import Statement
from wicketd.storage import keys, members
from wicketd.storage.db import SqliteDatabase


async def test_a_key_brings_its_agent_and_member(seeded: SqliteDatabase) -> None:
    await run(seeded, *members.set_labels(MEMBER, ["g"], ["t"]))
    record = await seeded.one(keys.by_key_id("ABCDEFGH"))
    owner = member(groups=("g",), tags=("t",))
    assert record == keys.KeyRecord(key(), agent(), owner, account_blocked=False)
    assert await seeded.one(keys.by_key_id("????????")) is None


async def test_a_blocked_account_shows(seeded: SqliteDatabase) -> None:
    await run(
        seeded,
        _account(),
        members.insert(member(id="m2", account_id="account-1", local_name=None)),
        keys.insert(key(id="key-2", key_id="BBBBBBBB", member_id="m2")),
        Statement("UPDATE accounts SET status = 'blocked'", ()),
    )
    record = await seeded.one(keys.by_key_id("BBBBBBBB"))
    assert record is not None
    assert record.account_blocked


async def test_a_second_active_key_is_a_conflict(seeded: SqliteDatabase) -> None:
    with pytest.raises(Conflict):
        await run(seeded, keys.insert(key(id="key-2", key_id="BBBBBBBB")))


async def test_a_key_ends_once_and_stays_listed(seeded: SqliteDatabase) -> None:
    end = keys.end("key-1", AT + 1, KeyState.REVOKED, "lost", "uid:0")
    assert await run(seeded, end, end) == [1, 0]
    assert await seeded.one(keys.active_of(AGENT, MEMBER)) is None
    ended = replace(
        key(), ended_at=AT + 1, ended_kind=KeyState.REVOKED, ended_reason="lost", ended_by="uid:0"
    )
    assert await seeded.all(keys.of_agent(AGENT)) == [ended]


async def test_the_active_key_is_its_agents_only(seeded: SqliteDatabase) -> None:
    assert await seeded.one(keys.active_of(AGENT, MEMBER)) == key()
    assert await seeded.one(keys.active_of(AgentId("other"), MEMBER)) is None


async def test_a_day_of_use_is_noted_once(seeded: SqliteDatabase) -> None:
    touches = [keys.touch_day("key-1", day) for day in (20_000, 20_000, 20_001)]
    assert await run(seeded, *touches) == [1, 0, 1]


async def test_the_macs_move_to_another_server_key(seeded: SqliteDatabase) -> None:
    await run(seeded, keys.set_verifier("key-1", "k2", b"V" * 32, b"M" * 32))
    moved = replace(key(), srv_kid="k2", verifier=b"V" * 32, seal_mac=b"M" * 32)
    assert await seeded.one(keys.active_of(AGENT, MEMBER)) == moved
