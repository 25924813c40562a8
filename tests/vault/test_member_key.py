"""The member key's text form and verifier."""

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.domain.ids import KeyId
from wicketd.vault import member_key
from wicketd.vault.keyring import Keyring
from wicketd.vault.secret import Secret

ID = "018f0000-0000-7000-8000-0000000000"
SECRET = bytes(range(0x80, 0xA0))
TEXT = "wkt_UTJ58rYrgZIquWVfkfbxYLgUC62ZqGtExHZJdPsKoCF_Zx81Kq0A2VnYuQ"
SUBKEY = Keyring("k1", {"k1": Secret(bytes(range(32)))}, bytes(range(0x40, 0x50))).subkey(
    "k1", "member-verifier"
)


class Script:
    """Gives scripted bytes in turn."""

    def __init__(self, *blocks: bytes) -> None:
        self._blocks = list(blocks)

    def bytes(self, count: int) -> bytes:
        block = self._blocks.pop(0)
        assert len(block) == count
        return block


def test_the_vector_of_the_text() -> None:
    key = member_key.generate(Script(SECRET), KeyId("Zx81Kq0A"))
    assert key.text.reveal().decode() == TEXT
    assert key.secret.reveal() == SECRET
    assert len(TEXT) == 62


def test_the_vector_of_the_verifier() -> None:
    got = member_key.verifier(SUBKEY, KeyId("Zx81Kq0A"), ID + "0a", ID + "0b", Secret(SECRET))
    assert got.hex() == "373afd5d9c0007d6e05bc4ace6081dde10bf2a687ed62ce8c55adc997e2c5b60"
    assert member_key.matches(got, bytes.fromhex(got.hex()))


def test_text_and_bytes_parse_alike() -> None:
    for form in (TEXT, TEXT.encode()):
        parsed = member_key.parse(form)
        assert parsed is not None
        assert (parsed.key_id, parsed.secret.reveal()) == ("Zx81Kq0A", SECRET)


@given(secret=st.binary(min_size=32, max_size=32), number=st.binary(min_size=16, max_size=16))
def test_every_generated_key_parses_back_and_suits_the_scanners(
    secret: bytes, number: bytes
) -> None:
    key = member_key.generate(Script(secret, number))
    text = key.text.reveal().decode()
    assert re.fullmatch(r"\bwkt_[0-9A-Za-z]{43}_[0-9A-Za-z]{14}\b", text)
    parsed = member_key.parse(text)
    assert parsed is not None
    assert (parsed.key_id, parsed.secret) == (key.key_id, key.secret)


@pytest.mark.parametrize("index", range(len(TEXT)))
def test_one_wrong_character_anywhere_is_refused(index: int) -> None:
    for other in "0Aa_ ":
        if other != TEXT[index]:
            assert member_key.parse(TEXT[:index] + other + TEXT[index + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + "0",
        " " + TEXT,
        TEXT.upper(),
        TEXT.replace("wkt_", "wkt-"),
        TEXT[:10] + "é" + TEXT[11:],
    ],
)
def test_another_shape_is_refused(text: str) -> None:
    assert member_key.parse(text) is None
    assert member_key.parse(text.encode()) is None


def test_a_secret_past_256_bits_is_refused_though_its_checksum_is_right() -> None:
    for number, good in ((2**256 - 1, True), (2**256, False)):
        checked = f"wkt_{member_key._base62(number, 43)}_Zx81Kq0A"
        crc = member_key._base62(zlib.crc32(checked.encode()), 6)
        assert (member_key.parse(checked + crc) is not None) is good


@pytest.mark.requirement("P13")
def test_the_verifier_binds_key_id_agent_member_and_secret() -> None:
    def of(
        key_id: str = "Zx81Kq0A", agent: str = "a", member: str = "b", secret: bytes = SECRET
    ) -> bytes:
        return member_key.verifier(SUBKEY, KeyId(key_id), agent, member, Secret(secret))

    others = [of("Zx81Kq0B"), of(agent="c"), of(member="c"), of(secret=bytes(32))]
    assert len({of(), *others}) == 5
    assert not any(member_key.matches(of(), other) for other in others)


def test_no_key_matches_the_row_that_stands_in_for_unknown_ids() -> None:
    row = member_key.UNKNOWN
    got = member_key.verifier(SUBKEY, row.key_id, row.agent_id, row.member_id, Secret(SECRET))
    assert len(row.verifier) == len(got)
    assert not member_key.matches(row.verifier, got)


def test_a_new_key_prints_nothing_of_itself() -> None:
    key = member_key.generate(Script(SECRET), KeyId("Zx81Kq0A"))
    assert "UTJ5" not in repr(key)
    assert "UTJ5" not in repr(member_key.parse(TEXT))
