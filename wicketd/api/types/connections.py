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


class ConnectionSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A static token of a local member: 1 byte to 8 KiB. It is sealed and never shown again."""

    agent: str
    member: str
    service: str
    token: Annotated[str, Meta(min_length=1, max_length=8192)]
