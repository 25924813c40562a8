"""P16: a code proves the mailbox (HMAC, 10 min, once, 5 tries); without mail a link, then TOTP.

Letters go through a real mail server; rows are those of a real database.

Removals tried, each of which turns a test red: `used_at IS NULL`, `expires_at > ?` and the look at
`row.attempts` for codes; `miss_code`; the pre-login cookie's MAC; "newest" in `newest_code`; the
nonce's MAC replaced by the code itself; `used_at IS NULL AND void_at IS NULL` and `expires_at > ?`
for links; the end of the old second factor at a link; `mail_off` before link and TOTP sign-in; the
account's status at redemption.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.entering import (
    ANN,
    BROWSER,
    CODE,
    IP,
    PRELOGIN,
    House,
    another_browser,
    house_of,
    token_of,
)
from tests.support.mail_server import MailServer, mail_server
from tests.support.state import ADMIN, CountedIds, State, open_state
from wicketd.domain import codes
from wicketd.domain.errors import Conflict, Gone, Invalid
from wicketd.domain.ports import Query
from wicketd.net.mail import Letterhead, Relay, SmtpMailer
from wicketd.services.web_sessions import NewSession

pytestmark = pytest.mark.requirement("P16")
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[State]:
    async with open_state(tmp_path) as fresh:
        yield fresh


@pytest.fixture
async def mailed(state: State) -> AsyncIterator[tuple[House, MailServer]]:
    """Ann is invited; codes reach her mailbox over SMTP."""
    with mail_server() as server:
        relay = Relay(server.host, server.port, "none", "wicket@example.org")
        letterhead = Letterhead(relay.sender, state.clock, CountedIds(state.clock))
        house = house_of(state, mailer=SmtpMailer(relay, letterhead))
        await house.invited()
        yield house, server


@pytest.fixture
async def home(state: State) -> House:
    """No mail is sent; Ann is invited."""
    await state.agent()
    return house_of(state, mail=False)


async def code_in(house: House, server: MailServer) -> str:
    """Asks for a code and reads it in the mailbox."""
    await house.enter.sign_in.request_code(ANN, PRELOGIN, IP)
    await house.background.done()
    body = server.received.letters[-1].get_body(("plain",))
    assert body is not None
    found = CODE.search(body.get_content())
    assert found is not None
    return found[1]


async def redeem(house: House, code: str) -> NewSession:
    return await house.enter.sign_in.redeem_code(ANN, code, PRELOGIN, IP, BROWSER)


async def test_of_parallel_redemptions_one_wins(mailed: tuple[House, MailServer]) -> None:
    house, server = mailed
    code = await code_in(house, server)
    outcomes = await asyncio.gather(
        *(redeem(house, code) for _ in range(64)), return_exceptions=True
    )
    winners = [one for one in outcomes if isinstance(one, NewSession)]
    assert [new.visitor.account.email for new in winners] == [ANN]
    assert sum(isinstance(one, Gone) for one in outcomes) == 63
    assert (await house.kinds()).count("account.signed_in") == 1


async def test_ten_minutes_and_a_second_are_too_late(mailed: tuple[House, MailServer]) -> None:
    house, server = mailed
    code = await code_in(house, server)
    house.state.clock.ms += 10 * MINUTE_MS + 1000
    with pytest.raises(Gone):
        await redeem(house, code)
    code = await code_in(house, server)
    house.state.clock.ms += 10 * MINUTE_MS - 1000
    assert (await redeem(house, code)).visitor.account.email == ANN


async def test_the_sixth_try_is_refused_even_if_it_is_right(
    mailed: tuple[House, MailServer],
) -> None:
    house, server = mailed
    code = await code_in(house, server)
    for _ in range(5):
        with pytest.raises((Invalid, Gone)):
            await redeem(house, "0000-0000")
    with pytest.raises(Gone):
        await redeem(house, code)
    assert (await house.kinds()).count("account.signed_in") == 0


async def test_the_code_is_stored_as_a_keyed_hash_alone(mailed: tuple[House, MailServer]) -> None:
    house, server = mailed
    code = codes.fold(await code_in(house, server), 8)
    assert code is not None
    row = await house.state.db.one(
        Query("SELECT nonce, code_mac FROM signin_codes", (), lambda row: (row[0], row[1]))
    )
    assert row is not None
    nonce, mac = row
    message = ANN.encode() + b"\0" + nonce + code.encode()
    assert house.state.sealer.digest("login-code", message) == mac
    plain = [
        hashlib.sha256(part).digest() for part in (code.encode(), message, nonce + code.encode())
    ]
    assert mac not in plain
    await house.state.desk.wal.truncate()
    assert code.encode() not in house.state.file_bytes()


async def test_another_browser_cannot_use_it_and_the_newest_counts(
    mailed: tuple[House, MailServer],
) -> None:
    house, server = mailed
    first = await code_in(house, server)
    with pytest.raises(Gone):
        await house.enter.sign_in.redeem_code(ANN, first, another_browser(), IP, BROWSER)
    house.state.clock.ms += 1
    second = await code_in(house, server)
    with pytest.raises(Invalid):
        await redeem(house, first)
    assert (await redeem(house, second)).visitor.account.email == ANN


async def test_a_blocked_mailbox_proves_nothing(mailed: tuple[House, MailServer]) -> None:
    house, server = mailed
    code = await code_in(house, server)
    await house.enter.accounts.block(ADMIN, ANN)
    with pytest.raises(Invalid):
        await redeem(house, code)


async def test_with_mail_no_link_and_no_app_stands_in_for_the_mailbox(
    mailed: tuple[House, MailServer],
) -> None:
    house, _ = mailed
    home = house_of(house.state, mail=False)
    token = token_of((await home.enter.accounts.link(ADMIN, ANN))[1])
    with pytest.raises(Gone):
        await house.enter.sign_in.redeem_link(token, IP, BROWSER)
    ann = await home.enrolled((await home.enter.sign_in.redeem_link(token, IP, BROWSER)).visitor)
    code = house.next_code(ann.secret)
    with pytest.raises(Conflict):
        await house.enter.sign_in.sign_in_with_totp(ANN, code, IP, BROWSER)


async def test_without_mail_a_link_works_once_for_a_day(home: House) -> None:
    token = await home.invited()
    tries = (home.enter.sign_in.redeem_link(token, IP, BROWSER) for _ in range(64))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, NewSession) for one in outcomes) == 1
    assert sum(isinstance(one, Gone) for one in outcomes) == 63
    late = token_of((await home.enter.accounts.link(ADMIN, ANN))[1])
    home.state.clock.ms += DAY_MS + 1000
    with pytest.raises(Gone):
        await home.enter.sign_in.redeem_link(late, IP, BROWSER)
    first = token_of((await home.enter.accounts.link(ADMIN, ANN))[1])
    await home.enter.accounts.link(ADMIN, ANN)
    with pytest.raises(Gone):
        await home.enter.sign_in.redeem_link(first, IP, BROWSER)


async def test_behind_a_link_comes_a_new_second_factor_and_then_that_alone(home: House) -> None:
    ann = await home.enrolled_by_link()
    token = token_of((await home.enter.accounts.link(ADMIN, ANN))[1])
    bare = await home.enter.sign_in.redeem_link(token, IP, BROWSER)
    assert home.enter.factors.must_enrol(bare.visitor)
    assert await home.enter.sessions.find(ann.new.token) is None
    for old in (home.next_code(ann.secret), *ann.codes[:2]):
        with pytest.raises(Invalid):
            await home.enter.sign_in.sign_in_with_totp(ANN, old, IP, BROWSER)
    again = await home.enrolled(bare.visitor)
    code = home.next_code(again.secret)
    new = await home.enter.sign_in.sign_in_with_totp(ANN, code, IP, BROWSER)
    home.enter.factors.admit(new.visitor)
