"""Seals what a sign-in under way holds: how its code is redeemed, and the tokens that it brought.

Counterparts: `vault.sealing`, which knows no rows; `tokens`, which seals connections.
"""

from dataclasses import dataclass, replace

import msgspec
from typing_extensions import override

from wicketd.domain.connections import Connection, Destination
from wicketd.domain.ids import KeyId
from wicketd.domain.members import MemberKey
from wicketd.domain.oauth_flows import OAuthFlow
from wicketd.domain.secret import SecretBytes
from wicketd.services.transitions import Contents
from wicketd.vault import envelope
from wicketd.vault.envelope import DecryptFailed, Layer, Suite
from wicketd.vault.places import FlowPlace, Place
from wicketd.vault.sealing import Sealer, SealPublic
from wicketd.vault.secret import Secret


class FlowSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What redeeming a code needs beside the row: `sends_iss`, the provider promised `iss`."""

    verifier: str
    client_id: str
    auth_method: str
    sends_iss: bool

    @override
    def __repr__(self) -> str:
        """Never shows the verifier."""
        return "<flow secret>"


@dataclass(frozen=True, slots=True)
class FlowAt:
    """A sign-in with the service and destination in force, which its ciphertexts are bound to."""

    flow: OAuthFlow
    service: str
    to: Destination

    def place(self, key_id: KeyId | None = None) -> FlowPlace:
        """Where its ciphertexts lie. `key_id`: of the member key that a deposit is for."""
        flow = self.flow
        target = Place(
            row_id=flow.connection_id,
            agent_id=flow.agent_id,
            member_id=flow.member_id,
            connector=self.service,
            issuer=flow.issuer,
            origin=self.to.origin,
            placement=self.to.placement,
            key_id=key_id,
        )
        return FlowPlace(flow.id, flow.expires_at, target)


class FlowBox:
    """Seals and opens under one keyring."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def state(self, state: str) -> tuple[str, bytes]:
        """(kid, MAC) of a new state."""
        return self._sealer.kid_digest("oauth-state", state.encode())

    def states(self, state: str) -> tuple[bytes, ...]:
        """The MACs of a state that came back, one per server key."""
        return tuple(self._sealer.digests("oauth-state", state.encode("utf-8", "replace")).values())

    def begun(self, at: FlowAt, secret: FlowSecret) -> OAuthFlow:
        """The sign-in with what its code will be redeemed with."""
        sealed = self._sealer.verifier(msgspec.json.encode(secret), at.place())
        return replace(at.flow, verifier_ct=sealed)

    def secret_of(self, at: FlowAt) -> FlowSecret:
        """What the sign-in's code is redeemed with.

        Raises:
            DecryptFailed: it was sealed elsewhere or altered.
        """
        plain = self._sealer.open_verifier(at.flow.verifier_ct, at.place())
        return msgspec.json.decode(plain, type=FlowSecret)

    def kept(self, at: FlowAt, record: SecretBytes, key: MemberKey | None) -> bytes:
        """The tokens until they are confirmed: sealed to the member's key if there is one.

        Raises:
            SealPublicForged: the stored public half is not the one made at key issue.
        """
        if key is None:
            return self._sealer.unconfirmed(record.reveal(), at.place(), None)
        place = at.place(key.key_id)
        public = self._sealer.verified_public(
            key.seal_public, key.seal_mac, key.srv_kid, place.target
        )
        return self._sealer.unconfirmed(record.reveal(), place, public)

    def redeposited(
        self, at: FlowAt, record: SecretBytes, key_id: KeyId, public: SealPublic
    ) -> bytes:
        """The tokens deposited anew, to a key that is made in this transaction."""
        return self._sealer.unconfirmed(record.reveal(), at.place(key_id), public)

    def is_deposit(self, at: FlowAt) -> bool:
        """Whether only the member's key opens the tokens."""
        return envelope.header(at.flow.tokens_ct or b"").layer is Layer.OUTER

    def opened(
        self, at: FlowAt, key_id: KeyId | None = None, secret: SecretBytes | None = None
    ) -> Secret:
        """The record of the tokens; of a deposit with the member key alone.

        Raises:
            DecryptFailed: it lies elsewhere, was altered, or needs another key.
        """
        place = at.place(key_id)
        return Secret(self._sealer.open_unconfirmed(at.flow.tokens_ct or b"", place, secret))

    def settled(self, at: FlowAt, connection: Connection, key: MemberKey) -> Contents:
        """A confirmed deposit as its connection will hold it.

        Raises:
            DecryptFailed: it lies elsewhere, was altered, or is sealed to another key.
        """
        if connection.id != at.flow.connection_id:
            raise DecryptFailed
        generation = connection.generation + 1
        place = at.place(key.key_id)
        ciphertext = self._sealer.settled(at.flow.tokens_ct or b"", place, generation)
        return Contents(
            sealed_ct=ciphertext,
            sealed_suite=int(Suite.DEPOSIT),
            outer_kid=envelope.header(ciphertext).kid,
            sealed_key_id=key.key_id,
            generation=generation,
        )
