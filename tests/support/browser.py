"""A browser without scripts: cookies, forms with their hidden fields, and what a page says.

Speaks HTTP over the real port and does what a browser does: keeps cookies by name, sends Origin
with forms, follows nothing by itself. The pages are read by the standard library's HTML parser.
"""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

from typing_extensions import override


@dataclass
class Form:
    """One form of a page: its method, where it goes, and its fields as they stand."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get")))
        if tag == "a":
            self.links.append(given.get("href", ""))
        if tag == "input" and self.forms and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")

    @override
    def handle_data(self, data: str) -> None:
        self.text.append(data)


@dataclass
class Seen:
    """An answer. `headers`: names in lower case; cookies that were set stand in `set_cookies`."""

    status: int
    headers: dict[str, str]
    set_cookies: list[str]
    body: bytes

    @property
    def html(self) -> str:
        """The page's source."""
        return self.body.decode()

    @property
    def location(self) -> str:
        """Where it sends the browser."""
        return self.headers.get("location", "")

    @property
    def text(self) -> str:
        """What a person reads, blanks folded."""
        return " ".join(" ".join(self._read().text).split())

    @property
    def forms(self) -> list[Form]:
        """Its forms."""
        return self._read().forms

    @property
    def links(self) -> list[str]:
        """Where its links lead."""
        return self._read().links

    @property
    def tags(self) -> list[tuple[str, dict[str, str]]]:
        """Its elements with their attributes."""
        return self._read().tags

    def form(self, action: str) -> Form:
        """The first form that posts to a path."""
        return next(form for form in self.forms if form.action == action)

    def _read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.html)
        return reader


@dataclass
class Browser:
    """One browser. `host`: what it calls the daemon; `page`: the last page it saw.

    `ip`: where it is, as a trusted proxy would say it.
    """

    port: int
    host: str = ""
    ip: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    page: Seen | None = None

    @property
    def origin(self) -> str:
        """The origin of the portal."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Seen:
        """Opens a page."""
        return self.request("GET", path, headers=headers)

    def follow(self, path: str) -> Seen:
        """Opens a page and goes on wherever redirects of ours lead."""
        seen = self.get(path)
        for _ in range(5):
            if seen.status != 303:
                break
            seen = self.get(seen.location)
        return seen

    def submit(self, action: str, **values: str) -> Seen:
        """Sends a form of the page that is open, with these fields filled in."""
        assert self.page is not None
        form = self.page.form(action)
        return self.post(action, {**form.fields, **values})

    def go(self, action: str, **values: str) -> Seen:
        """The same, and follows where it leads."""
        seen = self.submit(action, **values)
        return self.follow(seen.location) if seen.status == 303 else seen

    def post(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Seen:
        """Sends fields as a form."""
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin}
        return self.request("POST", path, urlencode(fields).encode(), {**sent, **(headers or {})})

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Seen:
        """One exchange; an empty header value takes the header out."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {
            "Host": self.host or f"127.0.0.1:{self.port}",
            "User-Agent": "Browser/1 (test)",
            "Cookie": cookies,
            "X-Forwarded-For": self.ip,
            **(headers or {}),
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            present = {name: value for name, value in sent.items() if value}
            connection.request(method, path, body, present)
            answer = connection.getresponse()
            pairs = [(name.lower(), value) for name, value in answer.getheaders()]
            seen = Seen(
                answer.status,
                dict(pairs),
                [value for name, value in pairs if name == "set-cookie"],
                answer.read(),
            )
        finally:
            connection.close()
        self._keep(seen.set_cookies)
        self.page = seen if seen.body and seen.status != 303 else self.page
        return seen

    def _keep(self, set_cookies: list[str]) -> None:
        for cookie in set_cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


def path_of(url: str) -> str:
    """The path of an absolute URL, with its query."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")
