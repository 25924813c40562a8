"""The demo's member: a browser without scripts, a mailbox, an authenticator app.

Does over HTTP what a person does in the portal: opens the invitation's link, signs in with the
mailed code, sets up the second factor, accepts, saves a token, makes the key. The mailbox is the
daemon's log, since the demo runs with the console mailer.
"""

import base64
import hashlib
import hmac
import http.client
import re
import struct
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

from typing_extensions import override

_CODE: Final = re.compile(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b")
_SECRET: Final = re.compile(r'class="secret"[^>]*>([A-Z2-7 ]+)<')
_KEY: Final = re.compile(r"wkt_[0-9A-Za-z]{43}_[0-9A-Za-z]{14}")
_STEP_S: Final = 30
_MAIL_S: Final = 10.0


class PageFailed(Exception):
    """A page did not show what it should; the message says which."""


class _Forms(HTMLParser):
    """The hidden fields of each form by the path it posts to."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[str, dict[str, str]] = {}
        self._action = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._action = given.get("action", "")
            self.hidden.setdefault(self._action, {})
        elif tag == "input" and given.get("type") == "hidden":
            self.hidden.setdefault(self._action, {})[given["name"]] = given.get("value", "")


class Member:
    """Somebody with an address. `log`: the file that the console mailer writes to."""

    def __init__(self, port: int, address: str, log: Path) -> None:
        self.address = address
        self._port = port
        self._log = log
        self._cookies: dict[str, str] = {}
        self._html = ""

    def open(self, path: str) -> str:
        """Opens a page, wherever it leads, and gives its path."""
        for _ in range(5):
            status, onward = self._exchange("GET", path, b"")
            if status == 200:
                return path
            if status != 303:
                break
            path = onward
        raise PageFailed(f"{path} answered {status}: {self._heading()}")

    def send(self, action: str, **fields: str) -> str:
        """Sends a form of the open page; gives where it leads, or "" when it shows a page."""
        forms = _Forms()
        forms.feed(self._html)
        body = urlencode({**forms.hidden.get(action, {}), **fields}).encode()
        status, onward = self._exchange("POST", action, body)
        if status not in {200, 303}:
            raise PageFailed(f"the form of {action} answered {status}: {self._heading()}")
        return onward

    def join(self, link: str) -> str:
        """Opens the link, signs in with the mailed code, accepts; gives the agent's path."""
        path = urlsplit(link).path
        self.open(path)
        self.open("/signin?" + urlencode({"next": path}))
        mailed = len(self._codes())
        self.open(self.send("/signin", email=self.address))
        self.open(self.send("/signin/code", code=self._next_code(mailed)))
        return self.send(path).partition("?")[0]

    def enrol(self) -> None:
        """Sets up the authenticator app."""
        self.open("/account/mfa/setup")
        secret = self._found(_SECRET, "a secret for the app").replace(" ", "")
        self.send("/account/mfa/setup", code=_totp(secret))

    def save_token(self, agent: str, service: str, token: str) -> None:
        """Connects a service that takes a token."""
        path = f"{agent}/services/{service}/token"
        self.open(path)
        self.open(self.send(path, token=token))

    def make_key(self, agent: str) -> str:
        """Makes the key: the only answer that shows it."""
        self.open(f"{agent}/key")
        self.send(f"{agent}/key", way="first")
        return self._found(_KEY, "the key")

    def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = f"http://127.0.0.1:{self._port}"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            self._html = answer.read().decode()
            for cookie in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = cookie.partition(";")[0].partition("=")
                self._cookies[name] = value
            return answer.status, answer.headers.get("Location", "")
        finally:
            connection.close()

    def _codes(self) -> list[str]:
        return _CODE.findall(self._log.read_text(errors="replace"))

    def _next_code(self, seen: int) -> str:
        deadline = time.monotonic() + _MAIL_S
        while time.monotonic() < deadline:
            if len(self._codes()) > seen:
                return self._codes()[-1]
            time.sleep(0.05)
        raise PageFailed("no code came by mail")

    def _found(self, pattern: re.Pattern[str], what: str) -> str:
        match = pattern.search(self._html)
        if match is None:
            raise PageFailed(f"the page shows not {what}: {self._heading()}")
        return match[1] if pattern.groups else match[0]

    def _heading(self) -> str:
        match = re.search(r"<h1>(.*?)</h1>", self._html)
        return match[1] if match else "no page"


def _totp(secret: str) -> str:
    """The 6 digits that an app shows now (RFC 6238, SHA-1)."""
    step = int(time.time()) // _STEP_S
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1)
    start = digest[-1] & 0xF
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"
