"""Tokens of invitations: computed from the row and never stored.

A token is `id ‖ HMAC(K("invite"), id, agent, e-mail, expiry)` in base64url: whoever edits the row
ends its link. Source: security specification, section 7.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import Final

from wicketd.domain.accounts import Invite
from wicketd.domain.errors import NotFound
from wicketd.domain.ids import InviteId
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret

_LABEL: Final = "invite"
_ID_BYTES: Final = 16
_MAC_BYTES: Final = 32
_LENGTH: Final = (_ID_BYTES + _MAC_BYTES) * 4 // 3


@dataclass(frozen=True, slots=True)
class ParsedToken:
    """A token's parts; `mac` proves nothing before it is compared."""

    invite_id: InviteId
    mac: bytes


class InviteTokens:
    """Makes tokens and compares them, under every key of the ring."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    @property
    def kid(self) -> str:
        """The server key of tokens that are made now."""
        return self._sealer.kid_digest(_LABEL, b"")[0]

    def of(self, invite: Invite) -> Secret:
        """The invitation's token, 64 characters."""
        mac = self._sealer.digest(_LABEL, _signed(invite))
        return Secret(base64.urlsafe_b64encode(bytes.fromhex(invite.id.replace("-", "")) + mac))

    def are_of(self, parsed: ParsedToken, invite: Invite) -> bool:
        """Whether the MAC is this row's."""
        macs = self._sealer.digests(_LABEL, _signed(invite)).values()
        return any([hmac.compare_digest(parsed.mac, mac) for mac in macs])  # noqa: C419  # compare all


def parse(token: str) -> ParsedToken:
    """Reads a token.

    Raises:
        NotFound: it is none.
    """
    try:
        if len(token) != _LENGTH:
            raise missing()
        data = base64.b64decode(token, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise missing() from error
    text = data[:_ID_BYTES].hex()
    parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
    return ParsedToken(InviteId("-".join(parts)), data[_ID_BYTES:])


def missing() -> NotFound:
    """The one refusal of every token that is not an invitation's."""
    return NotFound("There is no such invitation. Open the link exactly as you got it.")


def _signed(invite: Invite) -> bytes:
    parts = (invite.id, invite.agent_id, invite.email, str(invite.expires_at))
    return b"wicket/v1/invite\0" + b"\0".join(part.encode() for part in parts)
