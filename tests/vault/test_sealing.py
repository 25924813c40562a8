"""Both token layers, deposits, their vectors; nothing opens elsewhere or without both keys."""

import hashlib
from dataclasses import fields, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from wicketd.domain.ids import KeyId
from wicketd.vault import envelope, sealing
from wicketd.vault.envelope import DecryptFailed, Header, Layer, Suite
from wicketd.vault.keyring import Keyring
from wicketd.vault.places import Place
from wicketd.vault.sealing import Sealer, SealPublic, SealPublicForged
from wicketd.vault.secret import Secret

ID = "018f0000-0000-7000-8000-0000000000"
AGENT, MEMBER = ID + "0a", ID + "0b"
KEY_ID = KeyId("Zx81Kq0A")
SECRET = Secret(bytes(range(0x80, 0xA0)))
INSTALL_ID = bytes(range(0x40, 0x50))
ROOT = Secret(bytes(range(32)))
KEYRING = Keyring("k1", {"k1": ROOT}, INSTALL_ID)
PLACE = Place(
    row_id=ID + "0c",
    agent_id=AGENT,
    member_id=MEMBER,
    connector="github",
    issuer="https://github.com",
    origin="https://api.githubcopilot.com:443",
    placement="header:authorization",
    key_id=KEY_ID,
)
RECORD = b'{"access_token":"A"}'
EPHEMERAL = bytes(range(0xC0, 0xE0))
SEAL_PUBLIC = bytes.fromhex("0d3f01dac45168edff78ef515de3431e25c7df3fb1be03e935caba1a101b2b01")


class Script:
    """Gives scripted bytes in turn, then counts up."""

    def __init__(self, *blocks: bytes) -> None:
        self._blocks = list(blocks)
        self._next = 0

    def bytes(self, count: int) -> bytes:
        if self._blocks:
            return self._blocks.pop(0)
        self._next += 1
        return hashlib.shake_256(self._next.to_bytes(8, "big")).digest(count)


def sealer(*blocks: bytes, keyring: Keyring = KEYRING) -> Sealer:
    return Sealer(keyring, INSTALL_ID, Script(*blocks))


def test_the_vector_of_the_inner_key() -> None:
    assert (
        sealing.member_wrap_key(SECRET, KEY_ID, AGENT).hex()
        == "32aeabc75fcf7c4ef26dab110e7361e0ea5dc7667edd4f0701221bc6ad9b3a41"
    )


def test_the_vector_of_both_layers() -> None:
    outer = sealer(bytes(12), b"\xff" * 12).sealed(RECORD, SECRET, PLACE, 1)
    assert len(outer) == 94
    assert (
        hashlib.sha256(outer).hexdigest()
        == "eaa7cfadea215e77094d2deef55c73a536b275e26cd0e471ef042fff0f019921"
    )


def test_the_vectors_of_the_seal_half() -> None:
    assert (
        sealing.seal_private(SECRET, KEY_ID, AGENT).hex()
        == "52683e8a83083fb2b44055232ad5bd5a9fa5af097ac2534b03b4211aa8122b64"
    )
    assert sealing.seal_public(SECRET, KEY_ID, AGENT) == SEAL_PUBLIC
    assert (
        sealer().seal_mac("k1", KEY_ID, AGENT, MEMBER, SEAL_PUBLIC).hex()
        == "250a92344522c78529612fd0a1bfae836502c9009ccef59854bc2b222f45e802"
    )


def test_the_vector_of_a_deposit() -> None:
    wicket = sealer(EPHEMERAL, bytes(12), b"\xff" * 12)
    outer = wicket.deposit(RECORD, SealPublic(SEAL_PUBLIC), PLACE, 1)
    assert len(outer) == 126
    assert (
        hashlib.sha256(outer).hexdigest()
        == "9a5eb8688a7ac00cd93d86f6cebb34273e4ed36da63aea017107834b10d34f4a"
    )
    inner = wicket._open_outer(outer, PLACE, 1)
    point = "dc2cca31e8e43bbd91dff7e475cca3347eb478107d5bd765aba4ae4a30c35d44"
    assert inner.hex() == (
        "010202085a7838314b713041" + point + "00" * 12
        + "384415b8f6a6a30ffb020030537278f25497eb915edbfde37401987bd00b524013d2ef6d"
    )  # fmt: skip
    assert len(inner) == 92


def test_the_vectors_of_a_deposits_key_and_place() -> None:
    shared = X25519PrivateKey.from_private_bytes(EPHEMERAL)
    point = shared.public_key().public_bytes_raw()
    agreed = shared.exchange(X25519PublicKey.from_public_bytes(SEAL_PUBLIC))
    lock = sealer()._deposit_lock(agreed, point, SEAL_PUBLIC, PLACE)
    assert lock.key.hex() == "b4912b60b89978178bcee1633b9ae3dfd2933342c2a747ee81aaaaf753d22a29"
    aad = lock.aad.encode(lock.header.encode(), INSTALL_ID)
    assert len(aad) == 279
    assert (
        hashlib.sha256(aad).hexdigest()
        == "00fca17bc1ab0ec1a6497e76d257f94332c8092792db1a57c66943f42b724034"
    )


@given(record=st.binary(max_size=2_000), generation=st.integers(0, 2**63))
@settings(max_examples=40)
def test_sealed_records_and_deposits_open_with_both_keys(record: bytes, generation: int) -> None:
    wicket = sealer()
    symmetric = wicket.sealed(record, SECRET, PLACE, generation)
    deposit = wicket.deposit(record, SealPublic(SEAL_PUBLIC), PLACE, generation)
    assert wicket.open_sealed(symmetric, SECRET, PLACE, generation) == (record, Suite.SYMMETRIC)
    assert wicket.open_sealed(deposit, SECRET, PLACE, generation) == (record, Suite.DEPOSIT)


def ciphertexts() -> dict[str, bytes]:
    return {
        "symmetric": sealer().sealed(RECORD, SECRET, PLACE, 7),
        "deposit": sealer().deposit(RECORD, SealPublic(SEAL_PUBLIC), PLACE, 7),
    }


@pytest.mark.parametrize("suite", ["symmetric", "deposit"])
@pytest.mark.parametrize("field", [field.name for field in fields(Place)])
def test_another_place_does_not_open_a_sealed_record(suite: str, field: str) -> None:
    value = "Zx81Kq0B" if field == "key_id" else getattr(PLACE, field) + "x"
    other = replace(PLACE, **{field: value})  # type: ignore[arg-type]  # every field by name
    with pytest.raises(DecryptFailed):
        sealer().open_sealed(ciphertexts()[suite], SECRET, other, 7)


@pytest.mark.parametrize("suite", ["symmetric", "deposit"])
def test_an_old_or_new_generation_does_not_open(suite: str) -> None:
    for generation in (0, 6, 8):
        with pytest.raises(DecryptFailed):
            sealer().open_sealed(ciphertexts()[suite], SECRET, PLACE, generation)


@pytest.mark.parametrize("suite", ["symmetric", "deposit"])
def test_a_change_of_any_byte_is_refused(suite: str) -> None:
    sealed = ciphertexts()[suite]
    for index in range(len(sealed)):
        changed = bytearray(sealed)
        changed[index] ^= 0x01
        with pytest.raises(DecryptFailed):
            sealer().open_sealed(bytes(changed), SECRET, PLACE, 7)


@pytest.mark.parametrize("suite", ["symmetric", "deposit"])
@pytest.mark.requirement("P6", "P8")
def test_neither_the_keyring_nor_the_member_key_alone_opens(suite: str) -> None:
    sealed = ciphertexts()[suite]
    with pytest.raises(DecryptFailed):
        sealer().open_sealed(sealed, Secret(bytes(32)), PLACE, 7)
    stranger = Keyring("k1", {"k1": Secret(bytes(range(1, 33)))}, INSTALL_ID)
    with pytest.raises(DecryptFailed):
        sealer(keyring=stranger).open_sealed(sealed, SECRET, PLACE, 7)


def test_a_symmetric_inner_layer_does_not_pass_for_the_deposit_of_generation_zero() -> None:
    with pytest.raises(DecryptFailed):
        sealer().open_sealed(ciphertexts()["symmetric"], SECRET, PLACE, 0)


def test_no_other_key_of_the_ring_is_tried() -> None:
    sealed = ciphertexts()["symmetric"]
    ring = Keyring("k2", {"k2": ROOT}, INSTALL_ID)
    with pytest.raises(DecryptFailed):
        sealer(keyring=ring).open_sealed(sealed, SECRET, PLACE, 7)


def test_an_outer_envelope_with_a_server_layer_inside_is_refused() -> None:
    wicket = sealer()
    odd = wicket._outer(wicket.pending(RECORD, PLACE, 7), PLACE, 7)
    with pytest.raises(DecryptFailed):
        wicket.open_sealed(odd, SECRET, PLACE, 7)


def test_a_deposit_with_a_point_of_low_order_is_refused_both_ways() -> None:
    wicket = sealer()
    with pytest.raises(SealPublicForged):
        wicket.deposit(RECORD, SealPublic(bytes(32)), PLACE, 1)
    head = Header(Suite.DEPOSIT, Layer.MEMBER, KEY_ID).encode()
    forged = wicket._outer(head + bytes(32) + bytes(28), PLACE, 1)
    with pytest.raises(DecryptFailed):
        wicket.open_sealed(forged, SECRET, PLACE, 1)


def test_a_public_half_is_admitted_only_with_its_mac() -> None:
    wicket = sealer()
    mac = wicket.seal_mac("k1", KEY_ID, AGENT, MEMBER, SEAL_PUBLIC)
    assert wicket.verified_public(SEAL_PUBLIC, mac, "k1", PLACE) == SEAL_PUBLIC
    own = X25519PrivateKey.from_private_bytes(EPHEMERAL).public_key().public_bytes_raw()
    for public, tag, kid, place in (
        (own, mac, "k1", PLACE),
        (SEAL_PUBLIC, bytes(32), "k1", PLACE),
        (SEAL_PUBLIC, mac, "k9", PLACE),
        (SEAL_PUBLIC, mac, "k1", replace(PLACE, member_id="other")),
        (SEAL_PUBLIC, mac, "k1", replace(PLACE, agent_id="other")),
    ):
        with pytest.raises(SealPublicForged):
            wicket.verified_public(public, tag, kid, place)


def test_a_pending_record_opens_in_its_own_window_only() -> None:
    wicket = sealer()
    pending = wicket.pending(RECORD, PLACE, 1_000)
    assert envelope.header(pending) == Header(Suite.SYMMETRIC, Layer.SERVER, "k1")
    assert wicket.open_pending(pending, PLACE, 1_000) == RECORD
    with pytest.raises(DecryptFailed):
        wicket.open_pending(pending, PLACE, 1_001)
    with pytest.raises(DecryptFailed):
        wicket.open_pending(pending, replace(PLACE, origin="https://evil.example:443"), 1_000)


def test_a_pending_record_binds_no_issuer_and_no_key() -> None:
    wicket = sealer()
    pending = wicket.pending(RECORD, PLACE, 1_000)
    assert wicket.open_pending(pending, replace(PLACE, issuer=None, key_id=None), 1_000) == RECORD


def test_a_pending_record_does_not_pass_for_a_sealed_one() -> None:
    wicket = sealer()
    with pytest.raises(DecryptFailed):
        wicket.open_sealed(wicket.pending(RECORD, PLACE, 7), SECRET, PLACE, 7)
    with pytest.raises(DecryptFailed):
        wicket.open_pending(wicket.sealed(RECORD, SECRET, PLACE, 7), PLACE, 7)


@pytest.mark.parametrize("suite", ["symmetric", "deposit"])
@pytest.mark.requirement("P19")
def test_a_rewrap_moves_the_outer_layer_to_the_active_key_without_the_member(suite: str) -> None:
    both = Keyring("k2", {"k1": ROOT, "k2": Secret(b"\x05" * 31 + b"\x06")}, INSTALL_ID)
    moved = sealer(keyring=both).rewrapped(ciphertexts()[suite], PLACE, 7)
    assert envelope.header(moved).kid == "k2"
    alone = Keyring("k2", {"k2": both.roots["k2"]}, INSTALL_ID)
    assert sealer(keyring=alone).open_sealed(moved, SECRET, PLACE, 7)[0] == RECORD


def test_recorded_arguments_open_for_their_own_call_only() -> None:
    wicket = sealer()
    kid, sealed = wicket.seal_args("call", AGENT, MEMBER, b"{}")
    assert kid == envelope.header(sealed).kid == "k1"
    assert wicket.open_args("call", AGENT, MEMBER, sealed) == b"{}"
    for call, agent, member in (("c", AGENT, MEMBER), ("call", "a", MEMBER), ("call", AGENT, "m")):
        with pytest.raises(DecryptFailed):
            wicket.open_args(call, agent, member, sealed)


def test_every_encryption_under_a_server_key_is_counted_before_it_is_made() -> None:
    taken: list[tuple[str, str]] = []

    def usage(kid: str, label: str) -> None:
        taken.append((kid, label))

    wicket = Sealer(KEYRING, INSTALL_ID, Script(), usage)
    wicket.sealed(RECORD, SECRET, PLACE, 1)
    wicket.pending(RECORD, PLACE, 1)
    wicket.seal_args("c", AGENT, MEMBER, b"{}")
    assert taken == [("k1", "outer-wrap"), ("k1", "pending-token"), ("k1", "audit-args")]


def test_a_refused_count_means_that_nothing_is_encrypted() -> None:
    def usage(kid: str, label: str) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Sealer(KEYRING, INSTALL_ID, Script(), usage).pending(RECORD, PLACE, 1)


def test_macs_are_made_under_the_active_key_and_looked_up_under_all() -> None:
    both = Keyring("k2", {"k1": ROOT, "k2": Secret(b"\x05" * 31 + b"\x06")}, INSTALL_ID)
    wicket = sealer(keyring=both)
    every = wicket.digests("tool-session", b"x")
    assert set(every) == {"k1", "k2"}
    assert every["k2"] == wicket.digest("tool-session", b"x") != every["k1"]


def test_an_oversized_record_and_a_place_without_key_are_programming_errors() -> None:
    with pytest.raises(ValueError, match="64 KiB"):
        sealer().sealed(bytes(65_537), SECRET, PLACE, 1)
    with pytest.raises(ValueError, match="member key"):
        sealer().sealed(RECORD, SECRET, replace(PLACE, key_id=None), 1)


def test_a_second_factors_secret_opens_for_its_own_account_alone() -> None:
    box = sealer()
    kid, sealed = box.seal_totp("account-1", Secret(b"s" * 20))
    assert kid == "k1"
    assert box.open_totp("account-1", sealed) == Secret(b"s" * 20)
    for account, ciphertext in (("account-2", sealed), ("account-1", sealed[:-1] + b"\0")):
        with pytest.raises(DecryptFailed):
            box.open_totp(account, ciphertext)
