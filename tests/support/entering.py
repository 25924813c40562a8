"""The entrance over a test's state: sign-in, second factors, sessions, invitations, accounts.

Letters go into an `Outbox` that a test reads like a mailbox; a real mail server: `mail_server`.
"""

import asyncio
import base64
import re
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from tests.support.state import ADMIN, CountedRandom, State
from wicketd.domain.accounts import Visitor
from wicketd.domain.errors import MailFailed
from wicketd.domain.ports import Mail, Mailer
from wicketd.entrance import Entrance, Settings, entrance
from wicketd.services.factor_rules import FactorRules
from wicketd.services.web_sessions import NewSession, new_token
from wicketd.vault import totp
from wicketd.vault.secret import Secret

URL: Final = "http://127.0.0.1:8650"
ANN: Final = "ann@example.org"
IP: Final = "192.0.2.7"
BROWSER: Final = "Mozilla/5.0 (test)"
PRELOGIN: Final = Secret(b"p" * 43)
CODE: Final = re.compile(r"\b([0-9A-Z]{4}-[0-9A-Z]{4})\b")


@dataclass
class Outbox:
    """A mailbox. `broken`: the mail server takes nothing."""

    letters: list[Mail] = field(default_factory=list)
    broken: bool = False

    async def send(self, mail: Mail) -> None:
        """Keeps the letter."""
        if self.broken:
            raise MailFailed("The mail server answered 554.")
        self.letters.append(mail)

    def code(self) -> str:
        """The code of the newest letter."""
        found = CODE.search(self.letters[-1].text)
        assert found is not None
        return found[1]


class Background:
    """Tasks of the entrance, which a test can wait for."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __call__(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Runs it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        return task

    async def done(self) -> None:
        """Waits until everything has run."""
        tasks, self._tasks = self._tasks, set()
        await asyncio.gather(*tasks)


@dataclass(frozen=True, slots=True)
class House:
    """A state with its entrance."""

    state: State
    enter: Entrance
    outbox: Outbox
    background: Background
    random: CountedRandom

    async def mailed(self) -> str:
        """The code of the newest letter, once it is delivered."""
        await self.background.done()
        return self.outbox.code()

    async def invited(self, email: str = ANN, agent: str = "demo") -> str:
        """Invites an address to an agent, made if need be; gives the link's token."""
        if not await self.state.agents.list():
            await self.state.agent(agent)
        made = await self.enter.invites.create(ADMIN, agent, email=email)
        return token_of(made.url)

    async def by_code(self, email: str = ANN) -> NewSession:
        """Signs in with a mailed code."""
        await self.enter.sign_in.request_code(email, PRELOGIN, IP)
        code = await self.mailed()
        return await self.enter.sign_in.redeem_code(email, code, PRELOGIN, IP, BROWSER)

    async def enrolled(self, visitor: Visitor) -> "Enrolled":
        """Sets up the visitor's second factor."""
        begun = await self.enter.second_factor.begin(visitor)
        secret = Secret(base64.b32decode(begun.secret_base32.reveal()))
        new, codes = await self.enter.second_factor.confirm(
            visitor, self.app_code(secret), IP, BROWSER
        )
        return Enrolled(secret, new, [code.reveal().decode() for code in codes])

    async def enrolled_by_link(self, email: str = ANN) -> "Enrolled":
        """Invites, signs in by the link and enrols, where mail is off."""
        token = await self.invited(email)
        new = await self.enter.sign_in.redeem_link(token, IP, BROWSER)
        return await self.enrolled(new.visitor)

    def app_code(self, secret: Secret) -> str:
        """What the authenticator app shows now."""
        return totp.code_of(secret, totp.step_at(self.state.clock.now_ms()))

    def next_code(self, secret: Secret) -> str:
        """What the app shows half a minute later."""
        self.state.clock.pass_s(totp.STEP_S)
        return self.app_code(secret)

    async def kinds(self, since: int = 0) -> list[str]:
        """Kinds of the audit rows."""
        return await self.state.kinds(since)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An authenticator app with the session that its set-up gave."""

    secret: Secret
    new: NewSession
    codes: list[str]


def house_of(
    state: State,
    *,
    mail: bool = True,
    require: Literal["off", "key", "always"] = "key",
    mailer: Mailer | None = None,
) -> House:
    """The entrance over a state. `mail` False: links and second factors sign in."""
    outbox, background = Outbox(), Background()
    sender = (mailer or outbox) if mail else None
    settings = Settings(URL, sender, FactorRules(require, is_mail_off=not mail))
    random = CountedRandom(b"mail" if mail else b"links")
    made = entrance(state.desk, state.sealer, random, background, settings)
    return House(state, made, outbox, background, random)


def token_of(url: Secret) -> str:
    """The last part of a link's path."""
    return urlsplit(url.reveal().decode()).path.rpartition("/")[2]


def another_browser() -> Secret:
    """The pre-login cookie of a stranger."""
    return new_token(CountedRandom(b"stranger"))
