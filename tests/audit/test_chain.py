"""The chain's vectors, and the frontier against a naive Merkle root."""

import hashlib
import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.audit.chain import (
    GENESIS,
    MAX_NAME,
    Frontier,
    args_commit,
    args_digest,
    canonical_arguments,
    canonical_body,
    node_hash,
    result_digest,
    row_hash,
)
from wicketd.domain.policies import Mode


def test_hash_and_root_of_three_rows_are_those_of_the_specification() -> None:
    prev, frontier = GENESIS, Frontier()
    for seq in (1, 2, 3):
        prev = row_hash(prev, canonical_body({"seq": seq}))
        frontier = frontier.append(prev)
    assert prev.hex() == "95cb0812b32f1b57a48d97265eccbddd7957813cb180725915a9dfc6fb80e7ea"
    root = "72fb35cd40b29e9b2c323a13127c210445ed1292b7ed2767549d9b1ee66c0fc2"
    assert frontier.root.hex() == root


def test_the_commitment_of_arguments_is_that_of_the_specification() -> None:
    commit = args_commit(bytes(range(32)), b'{"owner":"acme","repo":"site"}').hex()
    assert commit == "7e53ddea34784b3354d57e57e5768b0d40ff73162619fc90cd74ec741d254cce"


def _naive(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(_naive(leaves[:half]), _naive(leaves[half:]))


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40))
def test_the_frontier_gives_the_root_of_the_whole_tree(leaves: list[bytes]) -> None:
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.append(leaf)
    assert (frontier.size, frontier.root) == (len(leaves), _naive(leaves))


def test_a_body_with_a_float_is_refused() -> None:
    with pytest.raises(ValueError, match="no floats"):
        canonical_body({"a": [{"b": 1.5}]})


def test_a_body_has_sorted_keys_and_escaped_controls() -> None:
    assert canonical_body({"b": "\x1b", "a": 1}) == '{"a":1,"b":"\\u001b"}'


def test_every_control_character_is_escaped_and_reads_back() -> None:
    text = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029])) + "é😀"
    body = canonical_body({"a": text})
    assert not [char for char in body if not char.isprintable()]
    assert "é😀" in body
    assert msgspec.json.decode(body) == {"a": text}
    assert canonical_body({"a": "\x7f"}) == '{"a":"\\u007f"}'


def test_an_enumeration_is_written_as_its_value() -> None:
    assert canonical_body({"mode": Mode.SHADOW}) == '{"mode":"shadow"}'


def test_names_are_sorted_by_code_point_at_every_depth() -> None:
    body = canonical_body({"b": {"z": 1, "a": [{"y": 1, "x": 2}]}, "\uffee": 1, "😀": 2, "a": None})
    assert body == '{"a":null,"b":{"a":[{"x":2,"y":1}],"z":1},"\uffee":1,"😀":2}'


def test_a_name_past_256_characters_and_a_lone_surrogate_are_refused() -> None:
    assert canonical_body({"a" * MAX_NAME: 1})
    for values in ({"a" * (MAX_NAME + 1): 1}, {"x": [{"a" * (MAX_NAME + 1): 1}]}, {"a": "\ud800"}):
        with pytest.raises(ValueError, match="audit body"):
            canonical_body(values)  # type: ignore[arg-type]  # the three have no common type


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=20), st.data())
def test_a_frontier_goes_on_from_its_bytes(leaves: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(leaves)))
    frontier = Frontier()
    for leaf in leaves[:cut]:
        frontier = frontier.append(leaf)
    frontier = Frontier.from_bytes(frontier.size, frontier.to_bytes())
    for leaf in leaves[cut:]:
        frontier = frontier.append(leaf)
    assert frontier.root == _naive(leaves)


@pytest.mark.parametrize(("size", "length"), [(-1, 0), (1, 0), (2, 64), (3, 32), (4, 31)])
def test_bytes_of_another_tree_are_no_frontier(size: int, length: int) -> None:
    with pytest.raises(ValueError, match="frontier"):
        Frontier.from_bytes(size, bytes(length))


def test_arguments_have_one_spelling_and_the_commitment_takes_it() -> None:
    canonical = canonical_arguments({"repo": "site", "owner": "acme"})
    assert canonical == b'{"owner":"acme","repo":"site"}'
    assert (
        canonical_arguments({"n": 1.5, "big": 2**70}) == b'{"big":1180591620717411303424,"n":1.5}'
    )


def test_digests_are_keyed_and_bound_to_agent_tool_and_kind() -> None:
    expected = hmac.digest(b"k", b"args\0a\0s__t\0{}", "sha256")
    assert args_digest(b"k", "a", "s__t", b"{}") == expected
    others = [
        args_digest(b"l", "a", "s__t", b"{}"),
        args_digest(b"k", "b", "s__t", b"{}"),
        args_digest(b"k", "a", "s__u", b"{}"),
        args_digest(b"k", "a", "s__t", b"[]"),
        result_digest(b"k", "a", "s__t", b"{}"),
    ]
    assert len({expected, *others}) == 6
