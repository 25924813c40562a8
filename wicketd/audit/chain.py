"""The hash chain and the Merkle tree over it, one leaf a row.

Pure. Counterparts: `audit.journal`, which appends, and `audit.verify`, which recomputes. The row
hash is the RFC 9162 leaf hash of `prev ‖ body`, so that chain and tree share it.
Source: security spec, section 10.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from wicketd.domain.json import Json, JsonObject

GENESIS: Final = bytes(32)
_NAME_MAX: Final = 256


def canonical_body(fields: JsonObject) -> str:
    """Sorted keys, no floats, names of at most 256 characters; control characters are escaped.

    Raises:
        ValueError: a float or a name that is too long stands somewhere inside.
    """
    _check(fields)
    return msgspec.json.encode(fields, order="deterministic").decode()


def row_hash(prev: bytes, body: str) -> bytes:
    """SHA-256(0x00 ‖ prev ‖ body)."""
    return hashlib.sha256(b"\x00" + prev + body.encode()).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def args_commit(salt: bytes, canonical: bytes) -> bytes:
    """SHA-256(salt ‖ arguments): with both at hand it proves what was decided, alone nothing."""
    return hashlib.sha256(salt + canonical).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a Merkle tree (RFC 9162): enough to append and to give the root.

    `nodes`: roots of the perfect subtrees, largest first; their sizes are the bits of `size`.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier with one more leaf."""
        nodes, carry = list(self.nodes), leaf
        size = self.size
        while size & 1:
            carry = node_hash(nodes.pop(), carry)
            size >>= 1
        return Frontier(self.size + 1, (*nodes, carry))

    @property
    def root(self) -> bytes:
        """The tree's root; of an empty tree the hash of nothing."""
        if not self.nodes:
            return hashlib.sha256(b"").digest()
        root = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            root = node_hash(node, root)
        return root


def _check(value: Json) -> None:
    if isinstance(value, float):
        message = "an audit body holds no floats"
        raise ValueError(message)  # noqa: TRY004  # callers catch one class
    if isinstance(value, dict):
        for name, item in value.items():
            if len(name) > _NAME_MAX:
                message = "an audit body holds no name over 256 characters"
                raise ValueError(message)
            _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)
