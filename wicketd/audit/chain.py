"""Canonical bodies, row hashes and the Merkle frontier over them. Pure.

Invariant: one fact has one spelling, so that a hash names it. The row hash is at once the link of
the chain and the RFC 9162 leaf hash of `prev ‖ body`. Source: security spec, section 10.
"""

import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec

from wicketd.domain.json import Json, JsonObject

HASH_BYTES: Final = 32
GENESIS: Final = bytes(HASH_BYTES)
"""What the first row continues."""
MAX_NAME: Final = 256

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_LEAVES: Final = frozenset({str, int, bool, type(None)})
_CONTROLS: Final = re.compile("[\x7f-\x9f\u2028\u2029]")


def canonical_body(values: JsonObject) -> str:
    """The one spelling of a row: sorted names, no blanks, control characters escaped.

    Raises:
        ValueError: a float, a name of more than 256 characters, or text that is not Unicode.
    """
    _refuse_floats(values)
    try:
        text = _ENCODER.encode(values).decode()
    except UnicodeEncodeError:
        raise ValueError("An audit body cannot hold a lone surrogate.") from None
    # C0 is escaped by the encoder. Most bodies are ASCII, which is known without a scan.
    if not text.isascii() or "\x7f" in text:
        return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text


def _refuse_floats(values: JsonObject) -> None:
    # On the path of every call: most containers hold leaves only, which one C loop tells.
    stack: list[object] = [values]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if value and max(map(len, value)) > MAX_NAME:
                raise ValueError("A name in an audit body has at most 256 characters.")
            items: Collection[object] = value.values()
        elif isinstance(value, (list, tuple)):
            items = value
        elif isinstance(value, float):
            raise ValueError("An audit body holds no floats: their spelling is not unique.")  # noqa: TRY004  # a value of Json, not a wrong type
        else:
            continue
        if not _LEAVES.issuperset(map(type, items)):
            stack += [item for item in items if type(item) not in _LEAVES]


def row_hash(prev: bytes, body: str) -> bytes:
    """SHA-256(0x00 ‖ prev ‖ body): the link to the next row, and the leaf of the tree."""
    return hashlib.sha256(b"\x00" + prev + body.encode()).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right): an inner node (RFC 9162, 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a Merkle tree: all that it needs to grow and to give its root.

    `nodes`: roots of the perfect subtrees, largest first; their sizes are the bits of `size`.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "Frontier":
        """Takes up a frontier written by `to_bytes`.

        Raises:
            ValueError: a tree of this size has another number of subtrees.
        """
        if size < 0 or len(data) != size.bit_count() * HASH_BYTES:
            raise ValueError("The frontier does not belong to a tree of this size.")
        starts = range(0, len(data), HASH_BYTES)
        return cls(size, tuple(data[start : start + HASH_BYTES] for start in starts))

    def to_bytes(self) -> bytes:
        """The nodes in a row, 32 bytes each."""
        return b"".join(self.nodes)

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier with the hash of the next row."""
        nodes, carry, size = list(self.nodes), leaf, self.size
        while size & 1:
            carry = node_hash(nodes.pop(), carry)
            size >>= 1
        return Frontier(self.size + 1, (*nodes, carry))

    @property
    def root(self) -> bytes:
        """The Merkle tree hash (RFC 9162, 2.1.1); of an empty tree the hash of nothing."""
        if not self.nodes:
            return hashlib.sha256().digest()
        root = self.nodes[-1]
        for node in self.nodes[-2::-1]:
            root = node_hash(node, root)
        return root


def canonical_arguments(arguments: Json) -> bytes:
    """The one spelling of a call's arguments: sorted names, no blanks, UTF-8; floats may occur."""
    return _ENCODER.encode(arguments)


def args_commit(salt: bytes, canonical: bytes) -> bytes:
    """Commits to arguments without saying anything of them; salt and arguments together prove it.

    `salt`: 32 random bytes.
    """
    return hashlib.sha256(salt + canonical).digest()


def args_digest(subkey: bytes, agent_id: str, tool: str, canonical: bytes) -> bytes:
    """Finds equal arguments and proves nothing.

    `subkey`: K("audit-digest"); `tool`: `service__tool`.
    """
    return _digest(subkey, "args", agent_id, tool, canonical)


def result_digest(subkey: bytes, agent_id: str, tool: str, canonical: bytes) -> bytes:
    """The same of a call's result."""
    return _digest(subkey, "result", agent_id, tool, canonical)


def _digest(subkey: bytes, what: str, agent_id: str, tool: str, data: bytes) -> bytes:
    parts = (what.encode(), agent_id.encode(), tool.encode(), data)
    return hmac.digest(subkey, b"\0".join(parts), "sha256")
