"""Merkle paths from single rows to a signed root (RFC 9162, 2.1.3). Pure.

Counterpart of `chain.Frontier`, which gives the same root without paths. Invariant: what
`root_of` makes of a leaf and its path is the root only if the leaf stands at that very index.
"""

from collections.abc import Iterable, Sequence

from wicketd.audit.chain import node_hash

_Node = tuple[bytes, frozenset[int]]
"""A subtree: its hash, and the wanted leaves below it."""


class Paths:
    """Takes every leaf of a tree in order and keeps the paths of some. `wanted`: from 0."""

    def __init__(self, wanted: Iterable[int]) -> None:
        self._paths: dict[int, list[bytes]] = {index: [] for index in wanted}
        self._nodes: list[_Node] = []
        self.size = 0

    def append(self, leaf: bytes) -> None:
        """The next leaf."""
        mine = frozenset({self.size}) if self.size in self._paths else frozenset[int]()
        node, size = (leaf, mine), self.size
        while size & 1:
            node = self._joined(self._nodes.pop(), node)
            size >>= 1
        self._nodes.append(node)
        self.size += 1

    def finish(self) -> tuple[bytes, dict[int, tuple[bytes, ...]]]:
        """The root over at least one leaf, and the path of each wanted one, from the leaf up."""
        node = self._nodes.pop()
        while self._nodes:
            node = self._joined(self._nodes.pop(), node)
        return node[0], {index: tuple(path) for index, path in self._paths.items()}

    def _joined(self, left: _Node, right: _Node) -> _Node:
        for index in left[1]:
            self._paths[index].append(right[0])
        for index in right[1]:
            self._paths[index].append(left[0])
        return node_hash(left[0], right[0]), left[1] | right[1]


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that the path leads to; None if it is no path of this index in this size."""
    if not 0 <= index < size:
        return None
    root, here, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            return None
        if here & 1 or here == last:
            root = node_hash(sibling, root)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        here, last = here >> 1, last >> 1
    return root if last == 0 else None
