"""Connections on the wire: metadata only. Tokens go in, never out."""

from typing import Annotated

from msgspec import Meta, Struct

from wicketd.api.types.listing import Paged


class Connection(Struct, frozen=True, kw_only=True):
    """A member's credential for one service, without the credential."""

    id: str
    agent_id: str
    member_id: str
    service_id: str
    service: str | None
    member: str | None
    state: str
    origin: str
    placement: str
    account_label: str | None
    pending_expires_at: str | None
    generation: int
    last_used_at: str | None
    error: str | None
    created_at: str
    updated_at: str
    rev: int


class ConnectionList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The connections of an agent."""

    agent: str


class ConnectionRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member's connection to one service."""

    agent: str
    member: str
    service: str


class ConnectionSignIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without `redirect`: begin a local member's sign-in. With it: finish the one that is open.

    `redirect`: the whole URL that the provider sent the browser to, or the bare code of it. It is
    parsed and never fetched.
    """

    agent: str
    member: str
    service: str
    redirect: Annotated[str, Meta(min_length=1, max_length=8192)] | None = None


class SignIn(Struct, frozen=True, kw_only=True):
    """Begun: `url`, to be opened in any browser. Finished: the rest.

    `account` null: the provider does not say whose account it is.
    """

    url: str | None = None
    account: str | None = None
    scopes: tuple[str, ...] = ()
    state: str | None = None
    pending_expires_at: str | None = None


class ConnectionSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A static token of a local member: 1 byte to 8 KiB. It is sealed and never shown again."""

    agent: str
    member: str
    service: str
    token: Annotated[str, Meta(min_length=1, max_length=8192)]
