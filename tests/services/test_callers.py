"""Keys and their limits: who is let in, how failures answer, how fast and how many at once."""

import asyncio
from pathlib import Path

import pytest

from tests.support.calling import break_disk, mend_disk
from tests.support.state import ADMIN, CountedRandom, State, open_state
from tests.support.tampering import tamper
from wicketd.domain.agents import AgentStatus
from wicketd.domain.calls import Caller, FrontRequest, Refusal, RefusalKind
from wicketd.domain.errors import AuditNotDurable
from wicketd.domain.ids import KeyId
from wicketd.domain.ports import Statement
from wicketd.services.callers import Callers, Limits
from wicketd.vault import member_key


def callers_of(state: State, limits: Limits | None = None) -> Callers:
    """Callers over a state."""
    journal = state.desk.journal
    return Callers(state.db, journal, state.keyring, state.clock, limits or Limits())


def request(*bearers: str, ip: str = "10.0.0.1", agent: bytes = b"client/1") -> FrontRequest:
    """A request with these `Authorization` headers."""
    sent = tuple((b"authorization", one.encode()) for one in bearers)
    return FrontRequest("POST", (*sent, (b"user-agent", agent)), b"", ip)


async def issued(state: State, member: str = "bob") -> str:
    """A new member's key."""
    await state.member("demo", member)
    _, text = await state.keys.issue(ADMIN, "demo", member)
    return text


@pytest.fixture
async def key(state: State) -> str:
    """Bob's."""
    await state.agent()
    return await issued(state)


def forged(key: str) -> str:
    """A well-formed key with the public id of another and a secret of its own."""
    made = member_key.generate(CountedRandom(), KeyId(key[48:56]))
    return made.text.reveal().decode()


async def let_in(callers: Callers, key: str) -> Caller:
    """The caller that a key stands for."""
    caller = await callers.identify(request(f"Bearer {key}"))
    assert isinstance(caller, Caller), caller
    return caller


async def kind(callers: Callers, *bearers: str, ip: str = "10.0.0.1") -> RefusalKind:
    """How a request is refused."""
    refusal = await callers.identify(request(*bearers, ip=ip))
    assert isinstance(refusal, Refusal)
    return refusal.kind


@pytest.mark.requirement("C5")
async def test_a_key_gives_its_own_agent_and_member(state: State, key: str) -> None:
    caller = await let_in(callers_of(state), key)
    assert (caller.agent.key, caller.member.local_name) == ("demo", "bob")
    assert (caller.ip, caller.user_agent) == ("10.0.0.1", "client/1")
    assert caller.key_id == key[48:56]


async def test_a_long_user_agent_is_cut(state: State, key: str) -> None:
    found = await callers_of(state).identify(request(f"bearer {key}", agent=b"\xff" * 999))
    assert isinstance(found, Caller)
    assert found.user_agent == "\xff" * 200


@pytest.mark.requirement("C5", "FC7")
async def test_every_bad_credential_is_refused_alike(state: State, key: str) -> None:
    callers = callers_of(state)
    bad = [
        ("Bearer " + key, "Bearer " + key),
        ("Bearer  " + key,),
        ("Basic " + key,),
        (key,),
        ("Bearer " + key[:-1],),
        ("Bearer " + key[:-1] + ("0" if key[-1] != "0" else "1"),),
        ("Bearer " + forged(key),),
        ("Bearer ",),
    ]
    for bearers in bad:
        assert await kind(callers, *bearers) is RefusalKind.BAD_KEY
    assert await kind(callers) is RefusalKind.NO_BEARER


@pytest.mark.requirement("FC7")
async def test_a_failure_while_authenticating_is_no_identity(state: State, key: str) -> None:
    callers = callers_of(state)
    await state.db.maintain(lambda one: one.execute("ALTER TABLE member_keys RENAME TO gone"))
    with pytest.raises(Exception, match="member_keys"):
        await callers.identify(request(f"Bearer {key}"))


async def test_an_edited_row_makes_the_key_fail(state: State, key: str) -> None:
    await state.agent("other")
    await tamper(
        state.db,
        "UPDATE member_keys SET agent_id = (SELECT id FROM agents WHERE key = 'other')",
    )
    assert await kind(callers_of(state), f"Bearer {key}") is RefusalKind.BAD_KEY


@pytest.mark.requirement("FC16")
async def test_a_revoked_key_is_refused_at_once_when_told_and_after_a_second_if_not(
    state: State, key: str
) -> None:
    told, untold = callers_of(state), callers_of(state)
    caller = await let_in(told, key)
    await let_in(untold, key)
    await state.keys.revoke(ADMIN, "demo", "bob", reason="test")
    told.forget_key(caller.key_id)
    assert await kind(told, f"Bearer {key}") is RefusalKind.BAD_KEY
    await let_in(untold, key)
    state.clock.pass_s(1)
    assert await kind(untold, f"Bearer {key}") is RefusalKind.BAD_KEY


@pytest.mark.requirement("C7", "FC16")
async def test_a_disabled_agent_admits_nobody(state: State, key: str) -> None:
    callers = callers_of(state)
    caller = await let_in(callers, key)
    assert callers.standing(caller) is None
    await state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED)
    callers.forget_agent(caller.agent.id)
    refusal = callers.standing(await let_in(callers, key))
    assert refusal is not None
    assert refusal.kind is RefusalKind.AGENT_DISABLED


@pytest.mark.requirement("C7", "FC16")
async def test_only_an_approved_member_is_admitted(state: State, key: str) -> None:
    callers = callers_of(state)
    caller = await let_in(callers, key)
    demote = Statement("UPDATE members SET state = 'pending'", ())
    await state.db.write(lambda tx: tx.run(demote))
    callers.forget_member(caller.member.id)
    refusal = callers.standing(await let_in(callers, key))
    assert refusal is not None
    assert refusal.kind is RefusalKind.NOT_APPROVED


async def test_a_change_that_lands_while_a_row_is_read_is_not_hidden_by_it(
    state: State, key: str
) -> None:
    callers = callers_of(state)
    reading = asyncio.create_task(callers.identify(request(f"Bearer {key}")))
    await asyncio.sleep(0)
    callers.forget_key(KeyId(key[48:56]))
    assert isinstance(await reading, Caller)
    await state.keys.revoke(ADMIN, "demo", "bob", reason="test")
    assert await kind(callers, f"Bearer {key}") is RefusalKind.BAD_KEY


async def test_the_twenty_first_failure_of_a_minute_is_told_to_wait(state: State, key: str) -> None:
    callers = callers_of(state)
    for _ in range(20):
        assert await kind(callers, "Bearer x") is RefusalKind.BAD_KEY
    assert await kind(callers, "Bearer x") is RefusalKind.TOO_MANY_FAILURES
    assert await kind(callers) is RefusalKind.TOO_MANY_FAILURES
    assert await kind(callers, "Bearer x", ip="10.0.0.2") is RefusalKind.BAD_KEY
    await let_in(callers, key)
    state.clock.pass_s(60)
    assert await kind(callers, "Bearer x") is RefusalKind.BAD_KEY


async def test_failures_of_one_key_id_count_from_wherever_they_come(state: State, key: str) -> None:
    callers = callers_of(state)
    told = [
        await kind(callers, f"Bearer {forged(key)}", ip=f"10.1.0.{number}") for number in range(21)
    ]
    assert set(told[:20]) == {RefusalKind.BAD_KEY}
    assert told[20] is RefusalKind.TOO_MANY_FAILURES
    await let_in(callers, key)


@pytest.mark.requirement("C6")
async def test_a_member_has_so_many_requests_at_once_and_no_more(state: State, key: str) -> None:
    callers = callers_of(state, Limits(in_flight=3))
    inside = [await let_in(callers, key) for _ in range(3)]
    assert await kind(callers, f"Bearer {key}") is RefusalKind.CONCURRENCY
    other = await issued(state, "eve")
    callers.leave(await let_in(callers, other))
    callers.leave(inside.pop())
    inside.append(await let_in(callers, key))
    for one in inside:
        callers.leave(one)
    assert callers._in_flight == {}


@pytest.mark.requirement("C14")
async def test_a_key_saves_up_a_burst_and_refills_by_the_second(state: State, key: str) -> None:
    limits = Limits(burst=3, per_second=2.0, wait_s=0.0)
    callers = callers_of(state, limits)
    caller = await let_in(callers, key)

    async def taken() -> int:
        count = 0
        while await callers.take_token(caller) is None:
            count += 1
        return count

    assert await taken() == 3
    state.clock.pass_s(1)
    assert await taken() == 2
    state.clock.pass_s(3600)
    assert await taken() == 3
    refusal = await callers.take_token(caller)
    assert refusal is not None
    assert (refusal.kind, refusal.retry_after_s) == (RefusalKind.RATE, 1)


@pytest.mark.requirement("C14")
async def test_who_waits_for_a_token_gets_one_in_order(state: State, key: str) -> None:
    callers = callers_of(state, Limits(burst=1, per_second=1000.0, wait_s=5.0))
    caller = await let_in(callers, key)
    assert await callers.take_token(caller) is None
    order: list[int] = []

    async def wait(number: int) -> None:
        assert await callers.take_token(caller) is None
        order.append(number)

    waiting = [asyncio.create_task(wait(number)) for number in range(4)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while len(order) < 4:
            state.clock.pass_s(0.001)
            await asyncio.sleep(0.001)
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3]


async def test_keys_do_not_share_their_tokens(state: State, key: str) -> None:
    callers = callers_of(state, Limits(burst=1, wait_s=0.0))
    mine, theirs = await let_in(callers, key), await let_in(callers, await issued(state, "eve"))
    assert await callers.take_token(mine) is None
    assert await callers.take_token(mine) is not None
    assert await callers.take_token(theirs) is None


async def test_refusals_are_written_once_a_kind_address_and_key(state: State, key: str) -> None:
    callers = callers_of(state)
    for _ in range(5):
        await kind(callers, "Bearer x")
    await kind(callers)
    await kind(callers, f"Bearer {forged(key)}")
    before = await state.recorded()
    assert await callers.flush_refusals() == 2
    assert await callers.flush_refusals() == 0
    rows = (await state.rows())[before:]
    assert [(row.kind, row.key_id) for row in rows] == [
        ("auth.refused", None),
        ("auth.refused", key[48:56]),
    ]
    assert '"count":6' in rows[0].body


async def test_counts_that_could_not_be_written_are_kept(tmp_path: Path) -> None:
    async with open_state(tmp_path) as state:
        callers = callers_of(state)
        await kind(callers, "Bearer x")
        await break_disk(state.db)
        with pytest.raises(AuditNotDurable):
            await callers.flush_refusals()
        await kind(callers, "Bearer x")
        await mend_disk(state.db)
        assert await callers.flush_refusals() == 1
        assert '"count":2' in (await state.rows())[-1].body
