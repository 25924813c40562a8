"""Turns tokens into what a connection row holds, and back.

Counterpart: `vault.sealing`, which knows no rows.

Invariant: a token is plaintext only between these functions and the request it is written into.
"""

from dataclasses import dataclass, replace
from typing import Final

import msgspec
from typing_extensions import override

from wicketd.connectors.catalogue import destination
from wicketd.domain.catalogue import Connector
from wicketd.domain.connections import Credential, Destination
from wicketd.domain.errors import Conflict, Invalid
from wicketd.domain.ids import KeyId
from wicketd.domain.members import MemberKey
from wicketd.domain.secret import SecretBytes
from wicketd.services.transitions import Contents, Held
from wicketd.vault import envelope
from wicketd.vault.envelope import DecryptFailed, Suite
from wicketd.vault.places import Place, connection_aad
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret

HOUR_MS: Final = 3_600_000
STATIC: Final = "static"
TOKEN_MAX_BYTES: Final = 8 * 1024
_PRINTABLE: Final = bytes(range(0x21, 0x7F))


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The plaintext of a connection (security spec, section 2).

    Times in ms; a static token has no issuer. `token_endpoint`, `client_id` and `auth_method` say
    who we were, and where, when the provider gave the tokens: a refresh goes nowhere else.
    """

    v: int
    access_token: str
    refresh_token: str | None = None
    token_type: str
    scope: str
    expires_at: int | None
    obtained_at: int
    issuer: str | None
    resource: str
    token_endpoint: str | None = None
    client_id: str | None = None
    auth_method: str | None = None

    @override
    def __repr__(self) -> str:
        """Never shows a token."""
        return "<token record>"


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection's credential in the clear.

    `details`: the record, read; `is_deposit`: it must be written anew under the key.
    """

    token: Secret
    record: Secret
    details: TokenRecord
    is_deposit: bool


def static_token(token: bytes) -> Secret:
    """A token that somebody typed: 1 to 8,192 visible ASCII characters.

    Raises:
        Invalid: it could not stand in a header.
    """
    if not token or len(token) > TOKEN_MAX_BYTES or token.strip(_PRINTABLE) != b"":
        message = (
            "A token has 1 to 8,192 visible ASCII characters. Paste it without spaces or line ends."
        )
        raise Invalid(message)
    return Secret(token)


def placed_header(to: Destination) -> str | None:
    """The header that a credential for `to` stands in, if it stands in one."""
    kind, _, name = to.placement.partition(":")
    return name if kind == "header" else None


def header_value(connector: Connector, token: SecretBytes) -> Secret:
    """The token in the connector's format, for example behind `Bearer `."""
    before, _, after = connector.credential.format.partition("{token}")
    return Secret(before.encode("ascii") + token.reveal() + after.encode("ascii"))


def one_off(connector: Connector, token: str) -> Credential:
    """The credential of one discovery or probe: used once, never stored.

    Raises:
        Conflict: the connector takes none.
        Invalid: it could not stand in a header.
    """
    to = destination(connector)
    value = static_token(token.encode("utf-8", "surrogatepass"))
    if to is None:
        message = f"The connector {connector.key} takes no credential. Discover without a token."
        raise Conflict(message)
    return Credential(to, placed_header(to), header_value(connector, value))


def static_record(token: SecretBytes, at_ms: int, resource: str) -> Secret:
    """The token record of a static token (security spec, section 2)."""
    record = TokenRecord(
        v=1,
        access_token=token.reveal().decode("ascii"),
        token_type=STATIC,
        scope="",
        expires_at=None,
        obtained_at=at_ms,
        issuer=None,
        resource=resource,
    )
    return Secret(msgspec.json.encode(record))


class TokenBox:
    """Seals and opens the records of connections under one keyring.

    `pending_hours`: how long a record may wait for the member's first key.
    """

    def __init__(self, sealer: Sealer, pending_hours: int = 24) -> None:
        self._sealer = sealer
        self._pending_ms = pending_hours * HOUR_MS

    def kept(
        self, held: Held, record: SecretBytes, key: MemberKey | None, now_ms: int
    ) -> tuple[Contents, str]:
        """New tokens and the trigger they come by: deposited to the active key, else pending.

        Raises:
            SealPublicForged: the stored public half is not the one made at key issue.
        """
        if key is None:
            return self.pending(held, record, now_ms + self._pending_ms), "save"
        return self.deposit(held, record, key), "deposit"

    def pending(self, held: Held, record: SecretBytes, expires_at: int) -> Contents:
        """Under the server layer, while the member has no key. `expires_at`: ms."""
        ciphertext = self._sealer.pending(record.reveal(), _place(held), expires_at)
        return Contents(pending_ct=ciphertext, pending_expires_at=expires_at)

    def deposit(self, held: Held, record: SecretBytes, key: MemberKey) -> Contents:
        """Sealed to the public half of the member's active key, which is absent.

        Raises:
            SealPublicForged: the stored public half is not the one made at key issue.
        """
        place = _place(held, key.key_id)
        public = self._sealer.verified_public(key.seal_public, key.seal_mac, key.srv_kid, place)
        generation = held.connection.generation + 1
        ciphertext = self._sealer.deposit(record.reveal(), public, place, generation)
        return self._sealed(ciphertext, Suite.DEPOSIT, key.key_id, generation)

    def symmetric(
        self, held: Held, record: SecretBytes, key_id: KeyId, secret: SecretBytes
    ) -> Contents:
        """Under both layers, with the member key at hand; one generation on."""
        generation = held.connection.generation + 1
        place = _place(held, key_id)
        ciphertext = self._sealer.sealed(record.reveal(), secret, place, generation)
        return self._sealed(ciphertext, Suite.SYMMETRIC, key_id, generation)

    def open_pending(self, held: Held) -> Secret:
        """The record of the pending window.

        Raises:
            DecryptFailed: it was sealed elsewhere, altered, or is absent.
        """
        ciphertext, expires_at = held.connection.pending_ct, held.connection.pending_expires_at
        if ciphertext is None or expires_at is None:
            raise DecryptFailed
        return Secret(self._sealer.open_pending(ciphertext, _place(held), expires_at))

    def open_sealed(self, held: Held, key_id: KeyId, secret: SecretBytes) -> Opened:
        """The credential of a sealed connection.

        Raises:
            DecryptFailed: wrong key, place or generation, altered, or absent.
        """
        connection = held.connection
        if connection.sealed_ct is None:
            raise DecryptFailed
        place = _place(held, key_id)
        plain, suite = self._sealer.open_sealed(
            connection.sealed_ct, secret, place, connection.generation
        )
        try:
            record = msgspec.json.decode(plain, type=TokenRecord)
        except msgspec.DecodeError as error:
            raise DecryptFailed from error
        token = Secret(record.access_token.encode("ascii"))
        return Opened(token, Secret(plain), record, suite is Suite.DEPOSIT)

    def rewrapped(self, held: Held) -> bytes:
        """The sealed record under the active server key, the member's layer untouched.

        Raises:
            DecryptFailed: the server's layer does not open in this place, or there is no record.
        """
        connection = held.connection
        if connection.sealed_ct is None:
            raise DecryptFailed
        return self._sealer.rewrapped(connection.sealed_ct, _place(held), connection.generation)

    def rewrapped_pending(self, held: Held) -> bytes:
        """The record of the pending window under the active server key.

        Raises:
            DecryptFailed: it does not open in this place, or there is none.
        """
        ciphertext, expires_at = held.connection.pending_ct, held.connection.pending_expires_at
        if ciphertext is None or expires_at is None:
            raise DecryptFailed
        aad = connection_aad(replace(_place(held), issuer=None), "pending_ct", expires_at)
        return self._sealer.rewrapped_server("pending-token", aad, ciphertext)

    def _sealed(self, ciphertext: bytes, suite: Suite, key_id: KeyId, generation: int) -> Contents:
        return Contents(
            sealed_ct=ciphertext,
            sealed_suite=int(suite),
            outer_kid=envelope.header(ciphertext).kid,
            sealed_key_id=key_id,
            generation=generation,
        )


def _place(held: Held, key_id: KeyId | None = None) -> Place:
    connection = held.connection
    return Place(
        row_id=connection.id,
        agent_id=connection.agent_id,
        member_id=connection.member_id,
        connector=held.service,
        issuer=connection.issuer,
        origin=connection.destination.origin,
        placement=connection.destination.placement,
        key_id=key_id,
    )
