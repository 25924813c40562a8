"""Portal sessions: who a cookie is, for how long, and how it ends."""

import pytest

from tests.support.entering import ANN, BROWSER, IP, House, house_of
from tests.support.state import ADMIN, State
from wicketd.domain.errors import NotFound, Unauthenticated
from wicketd.domain.ports import Statement
from wicketd.services.web_sessions import NewSession
from wicketd.vault.secret import Secret


@pytest.fixture
async def house(state: State) -> House:
    made = house_of(state)
    await made.invited()
    return made


async def is_in(house: House, new: NewSession) -> bool:
    return await house.enter.sessions.find(new.token) is not None


async def test_only_the_whole_token_is_a_session(house: House) -> None:
    new = await house.by_code()
    token = new.token.reveal()
    assert len(token) == 43
    for other in (b"", token[:-1], token + b"A", token.lower(), b"A" * 43, b"\xff" * 43):
        assert await house.enter.sessions.find(Secret(other)) is None
    assert await is_in(house, new)


async def test_a_session_is_idle_for_twelve_hours_at_most(house: House) -> None:
    new = await house.by_code()
    for _ in range(3):
        house.state.clock.ms += 12 * 3_600_000 - 1
        assert await is_in(house, new)
    house.state.clock.ms += 12 * 3_600_000
    assert not await is_in(house, new)


async def test_a_session_lives_for_a_week_at_most_also_when_it_is_renewed(house: House) -> None:
    new = await house.by_code()
    for _ in range(14):
        house.state.clock.ms += 12 * 3_600_000 - 1
        renewed = await house.enter.sessions.renew(new.visitor, mfa=True, ip=IP, user_agent=BROWSER)
        assert not await is_in(house, new)
        new = renewed
        assert await is_in(house, new)
    house.state.clock.ms += 14
    assert not await is_in(house, new)


async def test_the_account_is_read_on_every_request(house: House) -> None:
    new = await house.by_code()
    await house.enter.accounts.block(ADMIN, ANN)
    assert not await is_in(house, new)
    await house.enter.accounts.unblock(ADMIN, ANN)
    assert not await is_in(house, new)


async def test_a_blocked_row_alone_ends_the_session(house: House) -> None:
    new = await house.by_code()
    block = Statement("UPDATE accounts SET status = 'blocked'", ())
    await house.state.db.write(lambda tx: tx.run(block))
    assert not await is_in(house, new)


async def test_being_seen_is_written_once_a_minute(house: House) -> None:
    new = await house.by_code()

    async def last_seen() -> int:
        (only,) = await house.enter.sessions.list(new.visitor)
        return only.last_seen_at

    began = await last_seen()
    house.state.clock.pass_s(59)
    await is_in(house, new)
    assert await last_seen() == began
    house.state.clock.pass_s(1)
    await is_in(house, new)
    assert await last_seen() == began + 60_000


async def test_sessions_are_listed_and_ended_one_by_one(house: House) -> None:
    first, second, third = [await house.by_code() for _ in range(3)]
    listed = await house.enter.sessions.list(first.visitor)
    assert [one.id for one in listed] == [new.visitor.session.id for new in (third, second, first)]
    assert {(one.ip, one.user_agent) for one in listed} == {(IP, BROWSER)}
    await house.enter.sessions.end_one(first.visitor, second.visitor.session.id)
    await house.enter.sessions.end(third.visitor)
    assert [await is_in(house, one) for one in (first, second, third)] == [True, False, False]
    with pytest.raises(NotFound):
        await house.enter.sessions.end_one(first.visitor, second.visitor.session.id)
    assert (await house.kinds()).count("account.signed_out") == 2


async def test_nobody_ends_a_strangers_session(house: House) -> None:
    await house.enter.invites.create(ADMIN, "demo", email="bob@example.org")
    ann, bob = await house.by_code(), await house.by_code("bob@example.org")
    with pytest.raises(NotFound):
        await house.enter.sessions.end_one(bob.visitor, ann.visitor.session.id)
    assert await house.enter.sessions.end_others(bob.visitor) == 0
    assert await is_in(house, ann)


async def test_all_others_are_ended_at_once(house: House) -> None:
    first, second, third = [await house.by_code() for _ in range(3)]
    assert await house.enter.sessions.end_others(second.visitor) == 2
    assert [await is_in(house, one) for one in (first, second, third)] == [False, True, False]


async def test_an_ended_session_is_not_renewed(house: House) -> None:
    new = await house.by_code()
    await house.enter.sessions.end(new.visitor)
    with pytest.raises(Unauthenticated):
        await house.enter.sessions.renew(new.visitor, mfa=False, ip=IP, user_agent=BROWSER)


async def test_a_forms_mac_is_the_tokens_own_and_not_what_is_stored_readably(
    house: House,
) -> None:
    first, second = await house.by_code(), await house.by_code()
    macs = [house.enter.sessions.mac(new.token) for new in (first, second)]
    assert len({*macs}) == 2
    assert house.enter.sessions.mac(first.token) == macs[0]
    await house.state.desk.wal.truncate()
    assert first.token.reveal() not in house.state.file_bytes()


async def test_a_device_is_named_by_two_hundred_characters_at_most(house: House) -> None:
    await house.enter.sign_in.request_code(ANN, Secret(b"p" * 43), IP)
    code = await house.mailed()
    new = await house.enter.sign_in.redeem_code(ANN, code, Secret(b"p" * 43), IP, "x" * 900)
    assert new.visitor.session.user_agent == "x" * 200


async def test_what_ended_is_swept_and_what_lives_stays(house: House) -> None:
    first, second = await house.by_code(), await house.by_code()
    await house.enter.sessions.end(first.visitor)
    assert await house.enter.sessions.sweep() == 1
    assert await is_in(house, second)
    house.state.clock.ms += 12 * 3_600_000
    assert await house.enter.sessions.sweep() == 1
