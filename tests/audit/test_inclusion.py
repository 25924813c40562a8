"""Merkle paths lead to the root, and only from their own leaf, index and size."""

import hashlib

import pytest

from wicketd.audit.chain import Frontier
from wicketd.audit.inclusion import Paths, root_of

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33)


def leaves(size: int) -> list[bytes]:
    return [hashlib.sha256(bytes([number])).digest() for number in range(size)]


def paths(size: int) -> tuple[bytes, dict[int, tuple[bytes, ...]]]:
    tree = Paths(range(size))
    for leaf in leaves(size):
        tree.append(leaf)
    return tree.finish()


@pytest.mark.parametrize("size", SIZES)
def test_the_root_is_that_of_the_frontier_and_every_path_leads_to_it(size: int) -> None:
    frontier = Frontier()
    for leaf in leaves(size):
        frontier = frontier.append(leaf)
    root, found = paths(size)
    assert root == frontier.root
    for index, leaf in enumerate(leaves(size)):
        assert root_of(leaf, index, size, found[index]) == root


@pytest.mark.parametrize("size", SIZES)
def test_another_index_size_leaf_or_length_leads_elsewhere(size: int) -> None:
    root, found = paths(size)
    for index, leaf in enumerate(leaves(size)):
        path = found[index]
        for other in range(size + 1):
            assert other == index or root_of(leaf, other, size, path) != root
        assert root_of(b"\0" * 32, index, size, path) != root
        assert root_of(leaf, index, size, (*path, b"\0" * 32)) is None
        if path:
            assert root_of(leaf, index, size, path[:-1]) != root


def test_a_leaf_outside_the_tree_has_no_root() -> None:
    assert root_of(b"\0" * 32, -1, 4, ()) is None
    assert root_of(b"\0" * 32, 4, 4, ()) is None
