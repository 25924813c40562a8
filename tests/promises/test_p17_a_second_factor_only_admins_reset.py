"""P17: a second factor exists, a key needs it unless the setting says "off", only admins reset it.

Removals tried, each of which turns a test red: the comparison with `totp_last_step` in
`accepted_step` and in `use_step`; `used_at IS NULL` of a backup code; `totp_confirmed_at IS NULL`
in `begin`; the lock after five failures; `has_totp` in `recent_factor` (also for "off"); the
session check in `SecondFactor.confirm`; the sessions' end at a reset.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.entering import ANN, BROWSER, IP, House, house_of
from tests.support.state import ADMIN, State, open_state
from wicketd.domain.accounts import Visitor
from wicketd.domain.errors import Conflict, Forbidden, Invalid, Locked, SecondFactorNeeded
from wicketd.domain.members import KeyState
from wicketd.services.keys import KeyMint, Keys
from wicketd.services.recent_factor import RecentFactor, RequireMfa
from wicketd.services.resealing import Resealer
from wicketd.services.web_sessions import NewSession
from wicketd.vault import totp

pytestmark = pytest.mark.requirement("P17")


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[State]:
    async with open_state(tmp_path) as fresh:
        yield fresh


@pytest.fixture
async def house(state: State) -> House:
    """Ann is an approved member of `demo`."""
    made = house_of(state)
    token = await made.invited()
    first = await made.by_code()
    await made.enter.joining.accept(first.visitor, token)
    await state.members.approve(ADMIN, "demo", ANN)
    return made


async def check(house: House, visitor: Visitor, code: str) -> NewSession:
    return await house.enter.second_factor.check(visitor, code, IP, BROWSER)


def keys_under(house: House, setting: RequireMfa) -> Keys:
    """The use cases of keys with this `portal.require_mfa`."""
    state = house.state
    mint = KeyMint(state.keyring, state.sealer, house.random)
    return Keys(
        state.desk,
        mint,
        Resealer(state.box, state.flows.deposits),
        RecentFactor(state.clock, setting),
    )


async def make_key(house: House, visitor: Visitor, setting: RequireMfa = "key") -> str:
    agent = await house.state.agents.get("demo")
    issued = await keys_under(house, setting).issue_own(visitor, agent.id)
    return issued.row.key_id


async def test_a_step_is_not_played_twice_nor_an_older_one(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    code = house.next_code(ann.secret)
    now = await check(house, ann.new.visitor, code)
    older = totp.code_of(ann.secret, totp.step_at(house.state.clock.now_ms()) - 1)
    for replayed in (code, older):
        with pytest.raises(Invalid):
            await check(house, now.visitor, replayed)


async def test_of_parallel_uses_of_one_code_one_counts(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    visitors = [(await house.by_code()).visitor for _ in range(3)]
    for code in (house.next_code(ann.secret), ann.codes[0]):
        tries = (check(house, visitor, code) for visitor in visitors)
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        winners = [one for one in outcomes if isinstance(one, NewSession)]
        assert len(winners) == 1
        visitors = [winners[0].visitor, *visitors[:1]]
        house.state.clock.pass_s(3600)
        visitors = [(await house.by_code()).visitor for _ in range(3)]


async def test_a_backup_code_does_not_work_twice(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    now = await check(house, ann.new.visitor, ann.codes[3])
    with pytest.raises(Invalid):
        await check(house, now.visitor, ann.codes[3])
    assert len(set(ann.codes)) == 10


@pytest.mark.parametrize("setting", ["key", "always", "off"])
async def test_the_mailbox_alone_of_an_enrolled_account_makes_no_key(
    house: House, setting: RequireMfa
) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    mailbox_only = await house.by_code()
    with pytest.raises(SecondFactorNeeded):
        await make_key(house, mailbox_only.visitor, setting)
    assert await house.state.keys.list("demo") == []
    proven = await check(house, mailbox_only.visitor, house.next_code(ann.secret))
    key_id = await make_key(house, proven.visitor, setting)
    (key,) = await house.state.keys.list("demo")
    assert (key.key_id, key.state) == (key_id, KeyState.ACTIVE)


async def test_without_a_second_factor_a_key_needs_the_setting_off_and_a_fresh_sign_in(
    house: House,
) -> None:
    settings: tuple[RequireMfa, ...] = ("key", "always")
    for setting in settings:
        with pytest.raises(SecondFactorNeeded):
            await make_key(house, (await house.by_code()).visitor, setting)
    stale = await house.by_code()
    house.state.clock.pass_s(301)
    with pytest.raises(Forbidden):
        await make_key(house, stale.visitor, "off")
    assert await make_key(house, (await house.by_code()).visitor, "off")


async def test_a_proof_of_five_minutes_ago_makes_no_key(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    house.state.clock.pass_s(301)
    with pytest.raises(SecondFactorNeeded):
        await make_key(house, ann.new.visitor)


async def test_five_wrong_codes_lock_it(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    for _ in range(4):
        with pytest.raises(Invalid):
            await check(house, ann.new.visitor, "000000")
    with pytest.raises(Locked):
        await check(house, ann.new.visitor, "000000")
    for right in (house.next_code(ann.secret), ann.codes[0]):
        with pytest.raises(Locked):
            await check(house, ann.new.visitor, right)


async def test_only_an_administrator_resets_it(house: House) -> None:
    ann = await house.enrolled((await house.by_code()).visitor)
    mailbox_only = await house.by_code()
    for visitor in (ann.new.visitor, mailbox_only.visitor):
        with pytest.raises(Conflict):
            await house.enter.second_factor.begin(visitor)
    before = await house.state.recorded()
    await house.enter.accounts.reset_mfa(ADMIN, ANN)
    assert await house.kinds(before) == ["account.mfa_reset"]
    for token in (ann.new.token, mailbox_only.token):
        assert await house.enter.sessions.find(token) is None
    fresh = await house.by_code()
    again = await house.enrolled(fresh.visitor)
    assert again.secret != ann.secret


async def test_a_secret_seen_in_another_session_is_never_enrolled(house: House) -> None:
    thief, owner = await house.by_code(), await house.by_code()
    seen = await house.enter.second_factor.begin(thief.visitor)
    own = await house.enter.second_factor.begin(owner.visitor)
    assert seen.secret_base32 != own.secret_base32
    enrolled = await house.enrolled(owner.visitor)
    assert totp.base32(enrolled.secret) == own.secret_base32
