"""What a page is asked and what it answers: values between `portal.app` and the routes. No I/O.

A route's `auth` says who may be there at all; a table row without one cannot be written.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

from wicketd.domain.accounts import Visitor
from wicketd.domain.errors import Unauthenticated
from wicketd.portal.usecases import UseCases
from wicketd.vault.secret import Secret

HOME: Final = "/agents"


class Auth(StrEnum):
    """Who a route admits."""

    ANYBODY = "anybody"
    """Also without a session."""
    SIGNED_IN = "signed in"
    """A session, though its second factor may be outstanding."""
    COMPLETE = "complete"
    """A session that has shown everything its account must show."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request after all checks passed.

    `params`: of the path; `query` and `form`: decoded, each name once; `raw_query`: as it came;
    `prelogin`: the token of this browser before it signs in.
    """

    visitor: Visitor | None
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    raw_query: bytes
    form: Mapping[str, str]
    prelogin: Secret
    ip: str
    user_agent: str

    def who(self) -> Visitor:
        """The visitor of a route that admits nobody without a session.

        Raises:
            Unauthenticated: there is none.
        """
        if self.visitor is None:
            raise Unauthenticated("You are signed out. Sign in, then open the page again.")
        return self.visitor

    def field(self, name: str) -> str:
        """A field of the form without blanks around it; empty when it is absent."""
        return self.form.get(name, "").strip()


@dataclass(frozen=True, slots=True)
class Page:
    """HTML to show. `starts`: a session that begins with this answer; `ends`: one that is over."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    starts: Secret | None = None
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Redirect:
    """303 to a path of our own."""

    to: str
    starts: Secret | None = None
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Asset:
    """What is no page. `is_lasting`: it never changes under its name."""

    body: bytes
    media_type: str
    is_lasting: bool = True


Answer: TypeAlias = Page | Redirect | Asset
Handler: TypeAlias = Callable[[UseCases, Ask], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table. `path` holds `{name}` parts; `get` and `post` answer, None is 405."""

    path: str
    auth: Auth
    get: Handler | None = None
    post: Handler | None = None
    post_auth: Auth | None = None
    """Where the form asks more than the page."""

    def needs(self, method: str) -> Auth:
        """Who may use the method."""
        return self.post_auth if method == "POST" and self.post_auth is not None else self.auth
