"""Invitations on the wire. No answer holds a link but `InviteCreated`."""

from typing import Annotated

from msgspec import Meta, Struct

from wicketd.api.types.listing import Paged
from wicketd.api.types.members import Label, Role


class Invite(Struct, frozen=True, kw_only=True):
    """One invitation of an address to an agent."""

    id: str
    agent_id: str
    member_id: str
    email: str
    role: str
    state: str
    created_by: str
    created_at: str
    expires_at: str
    accepted_at: str | None
    sent_at: str | None


class InviteList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The invitations to an agent, ended ones too."""

    agent: str


class InviteCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to invite. `send`: mail the link, where mail is on."""

    agent: str
    email: Annotated[str, Meta(max_length=1024)]
    role: Role = "member"
    groups: tuple[Label, ...] = ()
    tags: tuple[Label, ...] = ()
    send: bool = False


class InviteResend(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new link for who is still invited; the old one is dead."""

    agent: str
    invite: str
    send: bool = False


class InviteRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`invite`: its id."""

    agent: str
    invite: str


class InviteCreated(Struct, frozen=True, kw_only=True):
    """A new invitation. This is the only time that `url` is shown.

    With `portal.mail = "off"` it signs in once, within 24 hours: whoever opens it is that address.
    """

    invite: Invite
    url: str
    url_expires_at: str
