"""Checks the rows of a proof without the log: hashes, path, signature, arguments. Pure.

Counterparts: `verify`, which checks whole logs, and `services.proofs`, which decides the call of
the rows again. Source: security spec, section 10, proof of a decision.
"""

import base64
import binascii
import hmac
from collections.abc import Iterator, Sequence

import msgspec

from wicketd.audit import checkpoint
from wicketd.audit.chain import HASH_BYTES, args_commit, row_hash
from wicketd.audit.checkpoint import NoteMalformed, Trust
from wicketd.audit.inclusion import root_of
from wicketd.audit.report import Finding, Problem


class ProvenRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the log, as hashed. `prev`: hex; `path`: hex hashes from the leaf up."""

    seq: int
    prev: str
    body: str
    path: tuple[str, ...]

    @property
    def leaf(self) -> bytes:
        """Its hash in the chain and in the tree.

        Raises:
            ValueError: `prev` is no hash, or the body is not Unicode.
        """
        return row_hash(_hash(self.prev), self.body)


class Disclosed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments as they were committed to. `canonical`: JSON text; `salt`: base64."""

    canonical: str
    salt: str


def disclosed(canonical: bytes, salt: bytes) -> Disclosed:
    """Arguments and salt in the form of a proof."""
    return Disclosed(canonical=canonical.decode(), salt=base64.b64encode(salt).decode())


def of_rows(rows: Sequence[ProvenRow], note: str, publics: Sequence[bytes]) -> Iterator[Finding]:
    """What speaks against rows under a signed checkpoint. `publics`: audit keys, 32 bytes each."""
    try:
        signed = checkpoint.parse(note)
    except NoteMalformed as error:
        yield Finding(Problem.BAD_SIGNATURE, str(error))
        return
    if not publics:
        yield Finding(Problem.NO_KEY, "There is no public key. Give --key audit.pub.")
    else:
        trust = signed.trust(publics)
        if trust is Trust.BAD:
            yield Finding(Problem.BAD_SIGNATURE, f"Checkpoint {signed.size} has a bad signature.")
        elif trust is Trust.UNKNOWN:
            message = f"Checkpoint {signed.size} is signed by an unknown key."
            yield Finding(Problem.UNKNOWN_SIGNATURE, message)
    for row in rows:
        if not _stands(row, signed.size, signed.root):
            message = f"Row {row.seq} is not in the log that checkpoint {signed.size} signed."
            yield Finding(Problem.ALTERED, message, row.seq)


def of_arguments(given: Disclosed, commit: str) -> Iterator[Finding]:
    """What speaks against arguments. `commit`: the row's `argsCommit`, hex."""
    try:
        salt = base64.b64decode(given.salt, validate=True)
        held = args_commit(salt, given.canonical.encode()).hex()
    except (binascii.Error, ValueError):
        held = ""
    if not hmac.compare_digest(held.encode(), commit.encode()):
        yield Finding(Problem.ARGS_DIFFER, "The arguments are not those that the row commits to.")


def _stands(row: ProvenRow, size: int, root: bytes) -> bool:
    try:
        path = [_hash(text) for text in row.path]
        found = root_of(row.leaf, row.seq - 1, size, path)
        body = msgspec.json.decode(row.body, type=dict)
    except (ValueError, msgspec.DecodeError):
        return False
    return found == root and body.get("seq") == row.seq


def _hash(text: str) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != HASH_BYTES:
        raise ValueError("A hash has 32 bytes.")
    return value
