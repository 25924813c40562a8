"""Token layers: server layer while pending, two nested layers once sealed, deposits.

Invariant: once sealed, nobody opens a record without both the member key and the server keyring.
Counterparts: `envelope` (the format), `keyring` (server subkeys).
Source: security spec, sections 2 and 4.
"""

import hmac
from dataclasses import replace
from typing import Final, NewType

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wicketd.domain.ids import KeyId
from wicketd.domain.ports import Random
from wicketd.domain.secret import SecretBytes
from wicketd.vault import envelope, places
from wicketd.vault.envelope import Aad, DecryptFailed, Header, Layer, Lock, Suite
from wicketd.vault.keyring import Keyring
from wicketd.vault.places import AppPlace, FlowPlace, Place
from wicketd.vault.secret import Secret
from wicketd.vault.usage import Usage, uncounted

MAX_RECORD_BYTES: Final = 65_536
_DEPOSIT_GENERATION: Final = 0

SealPublic = NewType("SealPublic", bytes)
"""A public seal half whose MAC was checked: the only thing to deposit to."""


class SealPublicForged(Exception):
    """The stored public half is not the key's own: refuse the deposit, raise the alarm."""


def member_wrap_key(secret: SecretBytes, key_id: KeyId, agent_id: str) -> bytes:
    """DK, the inner key.

    Equals HKDF-Expand because the secret is uniform; no stored value depends on it.
    """
    return _derive(secret, b"wicket/v1/member/token-wrap\0", key_id, agent_id)


def seal_private(secret: SecretBytes, key_id: KeyId, agent_id: str) -> bytes:
    """SK, the X25519 private key that opens deposits (RFC 7748)."""
    return _derive(secret, b"wicket/v1/member/seal-key\0", key_id, agent_id)


def seal_public(secret: SecretBytes, key_id: KeyId, agent_id: str) -> bytes:
    """The public half of SK, stored at key issue: whoever holds it can deposit, not read."""
    private = X25519PrivateKey.from_private_bytes(seal_private(secret, key_id, agent_id))
    return private.public_key().public_bytes_raw()


def _derive(secret: SecretBytes, label: bytes, key_id: KeyId, agent_id: str) -> bytes:
    message = label + key_id.encode("ascii") + agent_id.encode() + b"\x01"
    return hmac.digest(secret.reveal(), message, "sha256")


class Sealer:
    """Seals and opens under one keyring; nonces come from `random`, `usage` counts."""

    def __init__(
        self, keyring: Keyring, install_id: bytes, random: Random, usage: Usage = uncounted
    ) -> None:
        self._keyring = keyring
        self._install_id = install_id
        self._random = random
        self._usage = usage

    def seal_mac(
        self, kid: str, key_id: KeyId, agent_id: str, member_id: str, public: bytes
    ) -> bytes:
        """Binds a public seal half to its key and owner. `kid`: the verifier's."""
        parts = (key_id.encode("ascii"), agent_id.encode(), member_id.encode(), public)
        message = b"wicket/v1/seal-public\0" + b"\0".join(parts)
        return hmac.digest(self._keyring.subkey(kid, "seal-public"), message, "sha256")

    def verified_public(self, public: bytes, mac: bytes, kid: str, place: Place) -> SealPublic:
        """Admits a stored public half to `deposit`.

        `kid`: the verifier's; `place` names key, agent, member.

        Raises:
            SealPublicForged: the MAC is not the one made at key issue.
        """
        key_id = _key_id(place)
        if kid not in self._keyring.roots:
            raise SealPublicForged
        expected = self.seal_mac(kid, key_id, place.agent_id, place.member_id, public)
        if not hmac.compare_digest(expected, mac):
            raise SealPublicForged
        return SealPublic(public)

    def pending(self, record: bytes, place: Place, expires_at_ms: int) -> bytes:
        """Server layer only, while the member has no key. A shifted window does not open."""
        aad = places.connection_aad(replace(place, issuer=None), "pending_ct", expires_at_ms)
        return self._server(Layer.SERVER, "pending-token", aad, _capped(record))

    def open_pending(self, ciphertext: bytes, place: Place, expires_at_ms: int) -> bytes:
        """Opens a pending record.

        Raises:
            DecryptFailed: it was sealed elsewhere or altered.
        """
        aad = places.connection_aad(replace(place, issuer=None), "pending_ct", expires_at_ms)
        return self._open_server(Layer.SERVER, "pending-token", aad, ciphertext)

    def sealed(self, record: bytes, secret: SecretBytes, place: Place, generation: int) -> bytes:
        """Both layers, the inner one symmetric under DK.

        `generation` counts seals, refreshes, key changes.
        """
        key_id = _key_id(place)
        lock = Lock(
            member_wrap_key(secret, key_id, place.agent_id),
            Header(Suite.SYMMETRIC, Layer.MEMBER, key_id),
            places.connection_aad(place, "sealed_ct", generation),
            self._install_id,
        )
        inner = envelope.seal(lock, _capped(record), self._nonce())
        return self._outer(inner, place, generation)

    def deposit(
        self, record: bytes, seal_public: SealPublic, place: Place, generation: int
    ) -> bytes:
        """Both layers while the key is absent: the inner one is sealed to the key's public half.

        The inner generation is 0, as whoever deposits does not know the count; the outer layer
        carries it.

        Raises:
            SealPublicForged: a public half of low order, which agrees on a known secret.
        """
        return self._outer(self._deposited(record, seal_public, place), place, generation)

    def open_sealed(
        self, ciphertext: bytes, secret: SecretBytes, place: Place, generation: int
    ) -> tuple[bytes, Suite]:
        """The record and how it was sealed: a deposit's first keyed use writes it anew.

        Raises:
            DecryptFailed: wrong key, place, generation, or altered.
        """
        inner = self._open_outer(ciphertext, place, generation)
        key_id = _key_id(place)
        suite = envelope.header(inner).suite
        if suite is Suite.DEPOSIT:
            lock = self._own_deposit_lock(inner, secret, place)
        else:
            lock = Lock(
                member_wrap_key(secret, key_id, place.agent_id),
                Header(suite, Layer.MEMBER, key_id),
                places.connection_aad(place, "sealed_ct", generation),
                self._install_id,
            )
        return envelope.unseal(lock, inner), suite

    def rewrapped(self, ciphertext: bytes, place: Place, generation: int) -> bytes:
        """The same inner envelope under the active server key: rotation without the member.

        Raises:
            DecryptFailed: the outer layer does not open here.
        """
        return self._outer(self._open_outer(ciphertext, place, generation), place, generation)

    def unconfirmed(self, record: bytes, flow: FlowPlace, seal_public: SealPublic | None) -> bytes:
        """Tokens of a sign-in: a deposit of their later place, or the server layer without a key.

        Raises:
            SealPublicForged: a public half of low order.
        """
        aad = places.flow_aad(flow)
        if seal_public is None:
            return self._server(Layer.SERVER, "pending-token", aad, _capped(record))
        inner = self._deposited(record, seal_public, flow.target)
        return self._server(Layer.OUTER, "outer-wrap", aad, inner)

    def open_unconfirmed(
        self, ciphertext: bytes, flow: FlowPlace, secret: SecretBytes | None = None
    ) -> bytes:
        """Opens a sign-in's tokens; a deposit needs the member key's `secret`.

        Raises:
            DecryptFailed: another place or key, altered, or a deposit without its key.
        """
        if envelope.header(ciphertext).layer is Layer.SERVER:
            return self._open_server(
                Layer.SERVER, "pending-token", places.flow_aad(flow), ciphertext
            )
        if secret is None:
            raise DecryptFailed
        inner = self._open_flow_outer(ciphertext, flow)
        return envelope.unseal(self._own_deposit_lock(inner, secret, flow.target), inner)

    def settled(self, ciphertext: bytes, flow: FlowPlace, generation: int) -> bytes:
        """A confirmed deposit under the outer layer of its connection; the inner one stays.

        Raises:
            DecryptFailed: another place, or sealed to another key than `target` names.
        """
        inner = self._open_flow_outer(ciphertext, flow)
        if envelope.header(inner).kid != _key_id(flow.target):
            raise DecryptFailed
        return self._outer(inner, flow.target, generation)

    def verifier(self, plaintext: bytes, flow: FlowPlace) -> bytes:
        """What a sign-in needs to redeem its code, until it is over."""
        return self._server(Layer.SERVER, "oauth-flow", places.verifier_aad(flow), plaintext)

    def open_verifier(self, ciphertext: bytes, flow: FlowPlace) -> bytes:
        """Opens the same.

        Raises:
            DecryptFailed: another sign-in's, or altered.
        """
        aad = places.verifier_aad(flow)
        return self._open_server(Layer.SERVER, "oauth-flow", aad, ciphertext)

    def app_secret(self, service: AppPlace, set_at_ms: int, plaintext: bytes) -> tuple[str, bytes]:
        """Seals the secret of a service's OAuth app; gives (kid, envelope). `service`: its row."""
        aad = places.app_aad(service, set_at_ms)
        return _named(self._server(Layer.SERVER, "app-secret", aad, plaintext))

    def open_app_secret(self, service: AppPlace, set_at_ms: int, ciphertext: bytes) -> bytes:
        """Opens the same.

        Raises:
            DecryptFailed: another service's, set at another time, or altered.
        """
        aad = places.app_aad(service, set_at_ms)
        return self._open_server(Layer.SERVER, "app-secret", aad, ciphertext)

    def rewrapped_server(self, label: str, aad: Aad, ciphertext: bytes) -> bytes:
        """A value under the server's layer alone, in the same place under the active server key.

        Raises:
            DecryptFailed: it does not open there.
        """
        plaintext = self._open_server(Layer.SERVER, label, aad, ciphertext)
        return self._server(Layer.SERVER, label, aad, plaintext)

    def seal_args(
        self, call_id: str, agent_id: str, member_id: str, plaintext: bytes
    ) -> tuple[str, bytes]:
        """Seals recorded arguments and their salt; gives (kid, envelope) for `audit_args`."""
        aad = places.arguments_aad(call_id, agent_id, member_id)
        return _named(self._server(Layer.SERVER, "audit-args", aad, plaintext))

    def open_args(self, call_id: str, agent_id: str, member_id: str, ciphertext: bytes) -> bytes:
        """Opens recorded arguments.

        Raises:
            DecryptFailed: they belong to another call, or were altered.
        """
        aad = places.arguments_aad(call_id, agent_id, member_id)
        return self._open_server(Layer.SERVER, "audit-args", aad, ciphertext)

    def seal_totp(self, account_id: str, secret: SecretBytes) -> tuple[str, bytes]:
        """Seals a second factor's secret; gives (kid, envelope) for `accounts`."""
        aad = places.totp_aad(account_id)
        return _named(self._server(Layer.SERVER, "totp", aad, secret.reveal()))

    def open_totp(self, account_id: str, ciphertext: bytes) -> Secret:
        """Opens a second factor's secret.

        Raises:
            DecryptFailed: it belongs to another account, or was altered.
        """
        aad = places.totp_aad(account_id)
        return Secret(self._open_server(Layer.SERVER, "totp", aad, ciphertext))

    def seal_state(self, agent_id: str, member_id: str, content: bytes) -> bytes:
        """Seals a round of a call for the client to keep (protocol spec, section 5)."""
        aad = places.state_aad(agent_id, member_id)
        return self._server(Layer.SERVER, "request-state", aad, content)

    def open_state(self, agent_id: str, member_id: str, ciphertext: bytes) -> bytes:
        """Opens a round of a call.

        Raises:
            DecryptFailed: another member's, altered, or no envelope at all.
        """
        aad = places.state_aad(agent_id, member_id)
        return self._open_server(Layer.SERVER, "request-state", aad, ciphertext)

    def digest(self, label: str, data: bytes) -> bytes:
        """HMAC-SHA256 under the active kid's subkey `label`."""
        return hmac.digest(self._keyring.subkey(self._keyring.active, label), data, "sha256")

    def kid_digest(self, label: str, data: bytes) -> tuple[str, bytes]:
        """The same with its kid, as rows keep it."""
        kid, mac = next(iter(self.digests(label, data).items()))
        return kid, mac

    def digests(self, label: str, data: bytes) -> dict[str, bytes]:
        """The same under every kid: look-ups by MAC may try them all, ciphertexts never do."""
        subkeys = self._keyring.subkeys(label)
        return {kid: hmac.digest(subkey, data, "sha256") for kid, subkey in subkeys.items()}

    def _outer(self, inner: bytes, place: Place, generation: int) -> bytes:
        return self._server(
            Layer.OUTER, "outer-wrap", places.connection_aad(place, "sealed_ct", generation), inner
        )

    def _open_outer(self, ciphertext: bytes, place: Place, generation: int) -> bytes:
        aad = places.connection_aad(place, "sealed_ct", generation)
        return self._open_server(Layer.OUTER, "outer-wrap", aad, ciphertext)

    def _deposited(self, record: bytes, seal_public: SealPublic, place: Place) -> bytes:
        """The inner envelope of a deposit."""
        ephemeral = X25519PrivateKey.from_private_bytes(self._random.bytes(32))
        point = ephemeral.public_key().public_bytes_raw()
        try:
            shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(seal_public))
        except ValueError:
            raise SealPublicForged from None
        lock = self._deposit_lock(shared, point, seal_public, place)
        return envelope.seal(lock, _capped(record), self._nonce())

    def _open_flow_outer(self, ciphertext: bytes, flow: FlowPlace) -> bytes:
        return self._open_server(Layer.OUTER, "outer-wrap", places.flow_aad(flow), ciphertext)

    def _server(self, layer: Layer, label: str, aad: Aad, plaintext: bytes) -> bytes:
        kid = self._keyring.active
        self._usage(kid, label)
        key = self._keyring.subkey(kid, label)
        lock = Lock(key, Header(Suite.SYMMETRIC, layer, kid), aad, self._install_id)
        return envelope.seal(lock, plaintext, self._nonce())

    def _open_server(self, layer: Layer, label: str, aad: Aad, ciphertext: bytes) -> bytes:
        kid = envelope.header(ciphertext).kid
        if kid not in self._keyring.roots:
            raise DecryptFailed
        key = self._keyring.subkey(kid, label)
        lock = Lock(key, Header(Suite.SYMMETRIC, layer, kid), aad, self._install_id)
        return envelope.unseal(lock, ciphertext)

    def _own_deposit_lock(self, inner: bytes, secret: SecretBytes, place: Place) -> Lock:
        private = X25519PrivateKey.from_private_bytes(
            seal_private(secret, _key_id(place), place.agent_id)
        )
        point = envelope.ephemeral(inner)
        try:
            shared = private.exchange(X25519PublicKey.from_public_bytes(point))
        except ValueError:
            raise DecryptFailed from None
        return self._deposit_lock(shared, point, private.public_key().public_bytes_raw(), place)

    def _deposit_lock(self, shared: bytes, point: bytes, public: bytes, place: Place) -> Lock:
        key_id = _key_id(place)
        info = b"wicket/v1/member/deposit\0" + key_id.encode("ascii") + place.agent_id.encode()
        return Lock(
            HKDF(SHA256(), 32, point + public, info).derive(shared),
            Header(Suite.DEPOSIT, Layer.MEMBER, key_id),
            places.connection_aad(place, "sealed_ct", _DEPOSIT_GENERATION),
            self._install_id,
            point,
        )

    def _nonce(self) -> bytes:
        return self._random.bytes(envelope.NONCE_BYTES)


def _named(ciphertext: bytes) -> tuple[str, bytes]:
    """The kid is read off the envelope: a rotation in between must not tell the two apart."""
    return envelope.header(ciphertext).kid, ciphertext


def _key_id(place: Place) -> KeyId:
    if place.key_id is None:
        raise ValueError("A member layer needs the id of the member key.")
    return place.key_id


def _capped(record: bytes) -> bytes:
    if len(record) > MAX_RECORD_BYTES:
        raise ValueError("A token record has at most 64 KiB.")
    return record
