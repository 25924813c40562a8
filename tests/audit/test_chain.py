"""The chain's vectors, and the frontier against a naive Merkle root."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.audit.chain import (
    GENESIS,
    Frontier,
    args_commit,
    canonical_body,
    node_hash,
    row_hash,
)


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
