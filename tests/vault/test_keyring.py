"""The keyring: vectors, strict form, what refuses the start; the audit key alike."""

import hashlib
import re

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wicketd.domain.errors import KeyringInvalid
from wicketd.vault import key_file, keyring
from wicketd.vault.keyring import Keyring
from wicketd.vault.secret import Secret

INSTALL_ID = bytes(range(0x40, 0x50))
VECTOR = Keyring("k1", {"k1": Secret(bytes(range(32)))}, INSTALL_ID)
GOOD = key_file.encode_key(bytes.fromhex("9f" * 16 + "01" * 16))
OTHER = key_file.encode_key(bytes.fromhex("9e" * 16 + "02" * 16))
CREATED = "2026-11-24T00:00:00Z"


class Fixed:
    """One block of bytes, whatever is asked."""

    def __init__(self, block: bytes) -> None:
        self._block = block

    def bytes(self, count: int) -> bytes:
        return self._block[:count]


def key(
    kid: str = "k1", state: str = "active", text: str = GOOD, **more: object
) -> dict[str, object]:
    row = {"kid": kid, "alg": "A256GCM", "created": CREATED, "state": state, "key": text}
    return row | more


def ring(*keys: dict[str, object], active: str = "k1", **more: object) -> bytes:
    return msgspec.json.encode({"v": 1, "active": active, "keys": list(keys)} | more)


def test_the_vectors_of_the_subkeys() -> None:
    assert (
        VECTOR.subkey("k1", "member-verifier").hex()
        == "80694c889f53bdaf130ba4319db378e6e86c6a6e8eaa93ce72a5212c81a8d121"
    )
    assert (
        VECTOR.subkey("k1", "outer-wrap").hex()
        == "a7857200de0909aa542ac60e7f19eba9c9783a4dcef6aaa2e585eadcbc1f175f"
    )


def test_the_vector_of_the_check_value() -> None:
    assert (
        VECTOR.check_value("k1").hex()
        == "ddaa6f2772e0bbdddfe6c16782c923cd24c2ec9719e93b6c1d5caeade822f32a"
    )


def test_every_label_gives_its_own_subkey_and_no_other_label_exists() -> None:
    assert (
        len({VECTOR.subkey("k1", label) for label in keyring.LABELS}) == len(keyring.LABELS) == 22
    )
    with pytest.raises(ValueError, match="LABELS"):
        VECTOR.subkey("k1", "outer_wrap")
    with pytest.raises(KeyError):
        VECTOR.subkey("k2", "outer-wrap")


def test_a_ring_of_an_active_and_an_old_key_is_read() -> None:
    data = ring(key("k1", "decrypt"), key("k2", text=OTHER), active="k2")
    file = keyring.parse(data, "a test")
    assert (file.active, file.source, dict(file.created)) == (
        "k2",
        "a test",
        {"k1": CREATED, "k2": CREATED},
    )
    bound = file.bind(INSTALL_ID)
    assert (bound.active, bound.kids) == ("k2", ("k1", "k2"))
    assert bound.subkey("k1", "totp") != bound.subkey("k2", "totp")


def test_nothing_of_a_ring_prints_a_key() -> None:
    file = keyring.parse(ring(key()))
    bound = file.bind(INSTALL_ID)
    subkey = bound.subkey("k1", "totp")
    shown = repr(file) + repr(bound)
    assert GOOD not in shown
    assert repr(subkey) not in shown


def test_an_installation_id_of_another_length_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        keyring.parse(ring(key())).bind(bytes(15))


REFUSED = {
    "not JSON": b"x",
    "not UTF-8": b'{"v":1,"active":"\xff","keys":[]}',
    "an array": b"[]",
    "another version": ring(key(), v=2),
    "a version as text": ring(key(), v="1"),
    "an unknown field": ring(key(), note="x"),
    "an unknown key field": ring(key(note="x")),
    "a missing field": b'{"v":1,"keys":[]}',
    "another algorithm": ring(key(alg="A128GCM")),
    "another state": ring(key(state="old")),
    "no key": ring(),
    "17 keys": ring(key(), *(key(f"o{n}", "decrypt", OTHER) for n in range(16))),
    "no active key": ring(key(state="decrypt")),
    "two active keys": ring(key(), key("k2", text=OTHER)),
    "another active key than named": ring(key(), key("k2", "decrypt", OTHER), active="k2"),
    "an active key that is not there": ring(key(), active="k9"),
    "a duplicate kid": ring(key(), key("k1", "decrypt", OTHER)),
    "an empty kid": ring(key(""), active=""),
    "a kid of 17": ring(key("k" * 17), active="k" * 17),
    "an upper-case kid": ring(key("K1"), active="K1"),
    "a kid with a line end": ring(key("k1\n"), active="k1\n"),
    "another date": ring(key(created="yesterday")),
    "31 bytes": ring(key(text=key_file.encode_key(bytes(range(30)) + b"\x55"))),
    "33 bytes": ring(key(text=key_file.encode_key(bytes(range(32)) + b"\x55"))),
    "padding": ring(key(text=GOOD + "=")),
    "the other alphabet": ring(key(text=GOOD[:-2] + "+/")),
    "a last character with loose bits": ring(key(text=GOOD[:-1] + "F")),
    "a blank inside": ring(key(text=GOOD[:20] + " " + GOOD[21:])),
    "all bytes equal": ring(key(text=key_file.encode_key(b"\x41" * 32))),
    "the key of the vectors": ring(key(text=key_file.encode_key(bytes(range(32))))),
    "text behind it": ring(key()) + b"{}",
    "a duplicate field": ring(key()).replace(b'"v":1', b'"v":1,"v":1'),
    "a duplicate key field": ring(key()).replace(b'"kid":"k1"', b'"kid":"k1","kid":"k1"'),
    "a duplicate behind an escape": ring(key()).replace(b'"v":1', b'"v":1,"\\u0076":1'),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
@pytest.mark.requirement("FC9")
def test_a_keyring_with_this_fault_refuses_and_quotes_nothing(data: bytes) -> None:
    with pytest.raises(KeyringInvalid) as caught:
        keyring.parse(data)
    assert GOOD[:12] not in caught.value.message + (caught.value.hint or "")
    assert caught.value.hint
    assert caught.value.__cause__ is None


def test_16_keys_and_blanks_between_fields_are_fine() -> None:
    data = ring(key(), *(key(f"o{n}", "decrypt", OTHER) for n in range(15)))
    assert len(keyring.parse(msgspec.json.format(data)).roots) == 16


def test_a_colon_or_quote_inside_a_string_is_no_field() -> None:
    shape = dict[str, str]
    assert key_file.decode(b'{"a":"\\":\\\\:","b":"::"}', shape, "test") == {
        "a": '":\\:',
        "b": "::",
    }


def test_a_generated_ring_loads_and_a_guessable_one_is_never_made() -> None:
    data = keyring.generate(CREATED, Fixed(bytes.fromhex("9f" * 16 + "01" * 16)))
    file = keyring.parse(data)
    assert (file.active, file.roots["k1"].reveal().hex()) == ("k1", "9f" * 16 + "01" * 16)
    with pytest.raises(KeyringInvalid):
        keyring.generate(CREATED, Fixed(bytes(32)))


def test_a_start_compares_check_values_and_names_those_to_write() -> None:
    bound = keyring.parse(ring(key(), key("k0", "decrypt", OTHER))).bind(INSTALL_ID)
    values = {kid: bound.check_value(kid) for kid in bound.kids}
    assert bound.may_start({}, []) == ("k1", "k0")
    assert bound.may_start(values, ["k1", "k0"]) == ()
    assert bound.may_start({"k1": values["k1"], "gone": bytes(32)}, ["k1"]) == ("k0",)


@pytest.mark.parametrize(
    ("stored", "named", "says"),
    [
        ({}, ["k9"], "has no key k9"),
        ({"k1": bytes(32)}, [], "is not the key of this database"),
        ({}, ["k1"], "no check value"),
    ],
)
@pytest.mark.requirement("FC9")
def test_a_missing_or_wrong_key_refuses_the_start(
    stored: dict[str, bytes], named: list[str], says: str
) -> None:
    bound = keyring.parse(ring(key())).bind(INSTALL_ID)
    with pytest.raises(KeyringInvalid, match=says):
        bound.may_start(stored, named)


def audit_ring(**more: object) -> bytes:
    row = {"kid": "a1", "alg": "Ed25519", "created": CREATED, "key": GOOD} | more
    return msgspec.json.encode({"v": 1, "active": "a1", "keys": [row]})


def test_an_audit_key_signs_and_lists_its_public_half() -> None:
    audit_key = keyring.parse_audit_key(audit_ring())
    assert audit_key.kid == "a1"
    assert dict(audit_key.publics) == {"a1": audit_key.public}
    public = Ed25519PublicKey.from_public_bytes(audit_key.public)
    public.verify(audit_key.sign(b"x"), b"x")
    public.verify(audit_key.sign_with("a1", b"y"), b"y")


def test_a_generated_audit_key_loads() -> None:
    data = keyring.generate_audit_key(CREATED, Fixed(bytes.fromhex("9f" * 16 + "01" * 16)))
    assert re.fullmatch(rb'\{"v":1,"active":"a1","keys":\[\{.*"alg":"Ed25519".*\}\]\}\n', data)
    assert keyring.parse_audit_key(data).kid == "a1"


@pytest.mark.parametrize(
    "data",
    [
        audit_ring(alg="A256GCM"),
        audit_ring(state="active"),
        audit_ring(key=key_file.encode_key(b"\x07" * 32)),
        audit_ring(kid="a2"),
        ring(key()),
        audit_ring().replace(b'"v":1', b'"v":1,"v":1'),
    ],
)
@pytest.mark.requirement("FC9")
def test_a_faulty_audit_key_refuses(data: bytes) -> None:
    with pytest.raises(KeyringInvalid):
        keyring.parse_audit_key(data)


def test_an_audit_key_prints_no_private_part() -> None:
    assert "Ed25519PrivateKey" not in repr(keyring.parse_audit_key(audit_ring()))


def test_a_swapped_keyring_gives_the_new_keys_to_whoever_holds_it() -> None:
    held = keyring.parse(ring(key()), "test").bind(INSTALL_ID)
    before = held.subkey("k1", "session")
    file = keyring.parse(ring(key(state="decrypt"), key("k2", text=OTHER), active="k2"), "test")
    held.swap(file)
    assert (held.active, held.kids) == ("k2", ("k1", "k2"))
    assert held.subkey("k1", "session") == before
    assert held.subkey("k2", "session") != before
    assert list(held.subkeys("session")) == ["k2", "k1"]
    assert held.subkeys("session")["k1"] == before
    held.swap(keyring.parse(ring(key("k2", text=OTHER), active="k2")))
    with pytest.raises(KeyError):
        held.subkey("k1", "session")


def test_a_rotation_draws_no_key_that_anybody_could_guess() -> None:
    with pytest.raises(KeyringInvalid, match="pattern"):
        keyring.rotated(ring(key()), CREATED, Fixed(bytes(32)))


class Spread:
    """Bytes without a pattern, different each time."""

    def __init__(self) -> None:
        self._count = 0

    def bytes(self, count: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(bytes([self._count])).digest(count)


def test_a_rotated_keyring_reads_what_the_one_before_wrote() -> None:
    data, kid = keyring.rotated(ring(key()), CREATED, Spread())
    before, after = keyring.parse(ring(key())), keyring.parse(data)
    assert (after.active, tuple(after.roots)) == (kid, ("k1", "k2"))
    assert after.roots["k1"] == before.roots["k1"]
    assert after.roots["k2"] != before.roots["k1"]


def test_a_new_key_never_has_the_name_of_one_that_was_retired_before_it() -> None:
    data, spread = ring(key("k7"), key("old", state="decrypt", text=OTHER), active="k7"), Spread()
    data, kid = keyring.rotated(data, CREATED, spread)
    assert kid == "k8"
    data, kid = keyring.rotated(keyring.without(data, "old"), CREATED, spread)
    assert kid == "k9"


def test_a_full_keyring_takes_no_key() -> None:
    data, spread = ring(key()), Spread()
    for _ in range(keyring.MAX_KEYS - 1):
        data, _ = keyring.rotated(data, CREATED, spread)
    with pytest.raises(KeyringInvalid, match="takes no more"):
        keyring.rotated(data, CREATED, spread)


def test_a_key_leaves_the_ring_alone() -> None:
    data, _ = keyring.rotated(ring(key()), CREATED, Spread())
    left = keyring.parse(keyring.without(data, "k1"))
    assert tuple(left.roots) == ("k2",)
    assert left.roots["k2"] == keyring.parse(data).roots["k2"]


@pytest.mark.parametrize(("kid", "why"), [("k2", "is the active key"), ("k3", "has no key k3")])
def test_neither_the_active_key_nor_an_unknown_one_is_taken_away(kid: str, why: str) -> None:
    data, _ = keyring.rotated(ring(key()), CREATED, Spread())
    with pytest.raises(KeyringInvalid, match=why):
        keyring.without(data, kid)
