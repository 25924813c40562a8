"""The tools that recorded decisions knew, so that each can be made again under its own schema.

Counterparts: `services.calls`, which records, `services.verification` and `services.reveals`, which
look back. Invariant: tools are kept in the transaction of the first row under their schema, and are
believed only where they give the very schema whose hash the row carries. Source: policy spec, 7.3.
"""

import zlib
from collections.abc import Iterable
from typing import Final

import msgspec

from wicketd.domain.catalogue import ServiceView
from wicketd.domain.ports import Database, Tx
from wicketd.policy.schema import render
from wicketd.policy.setups import ServiceFacts, service_of
from wicketd.storage import schemas

MAX_BYTES: Final = 64 * 1024 * 1024
"""Of what a stored catalogue may unfold to."""


class SchemaArchive:
    """Keeps the tools behind each schema once, and remembers which ones are durable."""

    def __init__(self) -> None:
        self._kept: set[bytes] = set()

    def keep(self, tx: Tx, sha256: bytes, views: Iterable[ServiceView]) -> None:
        """Writes the tools of a schema beside the row, unless they are there."""
        if sha256 in self._kept:
            return
        services = msgspec.json.encode([service_of(view) for view in views])
        tx.run(schemas.keep(sha256, zlib.compress(services)))

    def kept(self, sha256: bytes) -> None:
        """The transaction of a row under this schema is durable."""
        self._kept.add(sha256)


async def views_under(db: Database, sha256: str) -> list[ServiceView] | None:
    """The tools that give the schema of a hash in hex; None: they are not kept, or give another."""
    try:
        stored = await db.one(schemas.services_of(bytes.fromhex(sha256)))
        if stored is None:
            return None
        unfolded = zlib.decompressobj().decompress(stored, MAX_BYTES)
        services = msgspec.json.decode(unfolded, type=list[ServiceFacts])
    except (ValueError, zlib.error):
        return None
    views = [one.view() for one in services]
    return views if render(views).sha256.hex() == sha256 else None
