"""Members in front of a running daemon: their mailbox, their authenticator app, their browser."""

import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import re
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.browser import Browser, Seen, path_of
from tests.support.daemon import RunningDaemon, running_daemon

MAIL = '[portal]\nmail = "file"\n[http]\ntrusted_proxies = ["127.0.0.1/32"]\n'
MAIL_OFF = '[http]\ntrusted_proxies = ["127.0.0.1/32"]\n'
NOTES = """
key = "notes"
name = "Notes"
transport = { kind = "streamable-http", url = "https://notes.example.test/mcp" }
credential = { kind = "static", header = "Authorization", format = "Bearer {token}" }
[tools]
read = ["search_notes"]
"""
_CODE = re.compile(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b")
_SECRET = re.compile(r'<p class="secret" aria-labelledby="typed">([A-Z2-7 ]+)</p>')
_BACKUP = re.compile(r"<li>([0-9A-Z-]+)</li>")
_KEY = re.compile(r"wkt_[0-9A-Za-z]{43}_[0-9A-Za-z]{14}")
_STEP_S = 30


def totp(secret: str, step: int) -> str:
    """The 6 digits of a time step (RFC 6238, SHA-1)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1)
    start = digest[-1] & 0xF
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


@dataclass
class Person:
    """Somebody with an address, a phone and a browser."""

    daemon: RunningDaemon
    address: str
    browser: Browser
    secret: str = ""
    backup_codes: list[str] = field(default_factory=list)
    last_step: int = 0
    first_form: dict[str, str] = field(default_factory=dict)
    """What was sent to make the first key."""

    def mails(self) -> list[str]:
        """The texts of the letters that came, oldest first."""
        found = []
        for path in sorted((self.daemon.directory / "mail").glob("*.eml")):
            letter = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            body = letter.get_body(("plain",))
            if letter["To"] == self.address and body is not None:
                found.append(body.get_content())
        return found

    def mailed_code(self, seen: int) -> str:
        """The code of the next letter behind the first `seen`; waits for it."""
        deadline = time.monotonic() + 10
        while len(self.mails()) <= seen:
            assert time.monotonic() < deadline, "no mail came"
            time.sleep(0.02)
        found = _CODE.search(self.mails()[-1])
        assert found is not None
        return found[0]

    def app_code(self) -> str:
        """A code that was not used before: of this time step, or the next within the tolerance."""
        step = max(int(time.time()) // _STEP_S, self.last_step + 1)
        while step > int(time.time()) // _STEP_S + 1:
            time.sleep(0.2)
        self.last_step = step
        return totp(self.secret, step)

    def ask_for_code(self, path: str = "/signin") -> str:
        """Opens the sign-in, asks for a code and gives it."""
        before = len(self.mails())
        self.browser.follow(path)
        seen = self.browser.go("/signin", email=self.address)
        assert "Enter your code" in seen.text
        return self.mailed_code(before)

    def sign_in(self, path: str = "/signin") -> Seen:
        """Signs in with a mailed code and, if enrolled, the app; gives the page behind it."""
        code = self.ask_for_code(path)
        seen = self.browser.go("/signin/code", code=code)
        return self.prove() if self.secret else seen

    def prove(self) -> Seen:
        """Enters a code of the app on the page that asks for one."""
        return self.browser.go("/signin/mfa", code=self.app_code())

    def enrol(self) -> Seen:
        """Sets up the second factor; gives the page with the backup codes."""
        seen = self.browser.follow("/account/mfa/setup")
        found = _SECRET.search(seen.html)
        assert found is not None, seen.text
        self.secret = found[1].replace(" ", "")
        shown = self.browser.go("/account/mfa/setup", code=self.app_code())
        assert shown.status == 200, shown.text
        self.backup_codes = _BACKUP.findall(shown.html)
        return shown

    def join(self, invitation: str) -> str:
        """Follows an invitation's link, signs in, accepts; gives the path of the agent."""
        path = path_of(invitation)
        self.browser.get(path)
        self.sign_in(path_to_signin(path, self.address))
        return self.join_signed_in(invitation)

    def join_signed_in(self, invitation: str) -> str:
        """The same for who is signed in."""
        path = path_of(invitation)
        self.browser.get(path)
        seen = self.browser.submit(path)
        assert seen.status == 303, seen.text
        return seen.location.partition("?")[0]

    def make_key(self, agent: str) -> str:
        """Makes the first key on its page, with a fresh code of the app."""
        if not self.secret:
            self.enrol()
        seen = self.browser.follow(f"{agent}/key")
        if "Your second factor" in seen.text:
            seen = self.prove()
        self.first_form = {**seen.form(f"{agent}/key").fields, "way": "first"}
        shown = self.browser.post(f"{agent}/key", self.first_form)
        assert shown.status == 200, shown.text
        return key_in(shown)


def key_in(seen: Seen) -> str:
    """The key that a page shows."""
    found = _KEY.search(seen.html)
    assert found is not None, seen.text
    return found[0]


def path_to_signin(path: str, address: str) -> str:
    """The sign-in that leads on to a path."""
    return f"/signin?next={path}&email={address}"


@dataclass
class Portal:
    """A daemon with an agent `demo` that has one service, `notes`."""

    daemon: RunningDaemon
    browsers: int = 0

    def browser(self) -> Browser:
        """A new browser at an address of its own, so that no throttle takes two for one."""
        self.browsers += 1
        return Browser(self.daemon.port, ip=f"198.51.100.{self.browsers}")

    def person(self, address: str = "ann@example.org") -> Person:
        """Somebody with a new browser."""
        return Person(self.daemon, address, self.browser())

    def invite(self, address: str = "ann@example.org", *options: str, agent: str = "demo") -> str:
        """The link of a new invitation."""
        answer = self.daemon.wicket("invite", "create", agent, address, *options)
        return str(answer["url"])

    def audited(self, kind: str) -> list[Any]:
        """The newest audit entries of a kind."""
        found: list[Any] = self.daemon.wicket("audit", "list", f"kind:{kind}")
        return found

    def member(self, address: str = "ann@example.org", *options: str) -> tuple[Person, str]:
        """Somebody who joined and was approved, with the path of the agent's page."""
        person = self.person(address)
        agent = person.join(self.invite(address, *options))
        self.daemon.wicket("member", "approve", "demo", address)
        return person, agent


@asynccontextmanager
async def running_portal(
    directory: Path, *, settings: str = MAIL, connectors: dict[str, str] | None = None
) -> AsyncIterator[Portal]:
    """A daemon that serves members until the block ends."""
    given = {"notes": NOTES} if connectors is None else connectors
    async with running_daemon(directory, settings=settings, connectors=given) as daemon:
        # in a thread: a service's server may live in this very loop
        await asyncio.to_thread(daemon.wicket, "agent", "create", "demo", "--name", "Demo agent")
        for key in given:
            await asyncio.to_thread(daemon.wicket, "service", "enable", "demo", key)
        yield Portal(daemon)


@contextmanager
def standing_portal(
    directory: Path, *, settings: str = MAIL, connectors: dict[str, str] | None = None
) -> Iterator[Portal]:
    """The same for tests that run without a loop: one daemon for a whole module."""
    with asyncio.Runner() as runner:
        running = running_portal(directory, settings=settings, connectors=connectors)
        portal = runner.run(running.__aenter__())
        try:
            yield portal
        finally:
            runner.run(running.__aexit__(None, None, None))
