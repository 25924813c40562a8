"""The envelope format, its vector, and that every byte and field of the place is bound."""

import hashlib
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.vault import envelope
from wicketd.vault.envelope import Aad, DecryptFailed, Header, Layer, Lock, Suite

INSTALL_ID = bytes(range(0x40, 0x50))
DK = bytes.fromhex("32aeabc75fcf7c4ef26dab110e7361e0ea5dc7667edd4f0701221bc6ad9b3a41")
ID = "018f0000-0000-7000-8000-0000000000"
PLACE = Aad(
    table="connections",
    column="sealed_ct",
    row_id=ID + "0c",
    agent_id=ID + "0a",
    member_id=ID + "0b",
    connector="github",
    issuer="https://github.com",
    origin="https://api.githubcopilot.com:443",
    placement="header:authorization",
    generation=1,
)
INNER = Lock(DK, Header(Suite.SYMMETRIC, Layer.MEMBER, "Zx81Kq0A"), PLACE, INSTALL_ID)
PLAINTEXT = b'{"access_token":"A"}'
VECTOR = bytes.fromhex(
    "010102085a7838314b7130410000000000000000000000002464e10bc3f999a293c391eae1af105c0e2e197eedb4d6d5"
    "dea828496941e662f20b36d6"
)


def test_the_vector_of_the_inner_envelope() -> None:
    assert envelope.seal(INNER, PLAINTEXT, bytes(12)) == VECTOR
    assert envelope.unseal(INNER, VECTOR) == PLAINTEXT


def test_the_vector_of_the_associated_data() -> None:
    aad = PLACE.encode(INNER.header.encode(), INSTALL_ID)
    assert len(aad) == 279
    assert (
        hashlib.sha256(aad).hexdigest()
        == "11412b9d11b5548cc949cd59c2acc2a47550deb250ba7463d0d2465adfa02dbf"
    )


@pytest.mark.parametrize("index", range(len(VECTOR)))
@given(flip=st.integers(1, 255))
def test_a_change_of_any_byte_is_refused(index: int, flip: int) -> None:
    changed = bytearray(VECTOR)
    changed[index] ^= flip
    with pytest.raises(DecryptFailed):
        envelope.unseal(INNER, bytes(changed))


@pytest.mark.parametrize("length", range(len(VECTOR)))
def test_a_cut_envelope_is_refused(length: int) -> None:
    with pytest.raises(DecryptFailed):
        envelope.unseal(INNER, VECTOR[:length])


@pytest.mark.parametrize("field", [field.name for field in fields(Aad)])
def test_another_value_of_any_place_field_is_refused(field: str) -> None:
    value: object = 2 if field == "generation" else getattr(PLACE, field) + "x"
    moved = replace(INNER, aad=replace(PLACE, **{field: value}))  # type: ignore[arg-type]  # by name
    with pytest.raises(DecryptFailed):
        envelope.unseal(moved, VECTOR)


def test_fields_do_not_run_into_each_other() -> None:
    left = replace(PLACE, connector="git", issuer="hub").encode(b"h", INSTALL_ID)
    right = replace(PLACE, connector="github", issuer="").encode(b"h", INSTALL_ID)
    assert left != right


@pytest.mark.parametrize(
    "other",
    [
        replace(INNER, key=bytes(32)),
        replace(INNER, install_id=bytes(16)),
        replace(INNER, header=Header(Suite.SYMMETRIC, Layer.MEMBER, "Zx81Kq0B")),
        replace(INNER, header=Header(Suite.SYMMETRIC, Layer.OUTER, "k1")),
        replace(INNER, header=Header(Suite.DEPOSIT, Layer.MEMBER, "Zx81Kq0A"), ephemeral=bytes(32)),
    ],
    ids=["key", "installation", "key id", "layer", "suite"],
)
def test_another_lock_does_not_open_it(other: Lock) -> None:
    with pytest.raises(DecryptFailed):
        envelope.unseal(other, VECTOR)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x01\x01\x02",
        b"\x02\x01\x02\x08Zx81Kq0A",
        b"\x01\x03\x02\x08Zx81Kq0A",
        b"\x01\x01\x04\x08Zx81Kq0A",
        b"\x01\x01\x02\x09Zx81Kq0Ab",
        b"\x01\x01\x02\x08Zx81Kq0",
        b"\x01\x01\x01\x00",
        b"\x01\x01\x01\x02K1",
        b"\x01\x01\x01\x11aaaaaaaaaaaaaaaaa",
        b"\x01\x02\x01\x02k1",
        b"\x01\x02\x03\x02k1",
    ],
)
def test_a_malformed_header_is_refused(head: bytes) -> None:
    with pytest.raises(DecryptFailed):
        envelope.header(head)


@given(
    head=st.builds(
        Header,
        st.just(Suite.SYMMETRIC),
        st.just(Layer.OUTER),
        st.from_regex(r"\A[a-z0-9-]{1,16}\Z"),
    )
)
def test_a_header_reads_back_as_written(head: Header) -> None:
    assert envelope.header(head.encode() + bytes(28)) == head


@given(data=st.binary(max_size=200))
def test_no_bytes_at_all_crash_the_reader(data: bytes) -> None:
    with pytest.raises(DecryptFailed):
        envelope.unseal(INNER, data)


def test_the_ephemeral_key_is_read_from_deposits_only() -> None:
    with pytest.raises(DecryptFailed):
        envelope.ephemeral(VECTOR)
    head = Header(Suite.DEPOSIT, Layer.MEMBER, "Zx81Kq0A").encode()
    with pytest.raises(DecryptFailed):
        envelope.ephemeral(head + bytes(31))
    assert envelope.ephemeral(head + bytes(range(32)) + bytes(28)) == bytes(range(32))


def test_the_failure_says_nothing_of_its_cause() -> None:
    with pytest.raises(DecryptFailed, match=r"^The ciphertext does not open in this place\.$"):
        envelope.unseal(replace(INNER, key=bytes(32)), VECTOR)
