"""Who asks for a change: an admin peer on the Unix socket, or the daemon itself.

Counterpart: `accounts.Visitor`, the member in the portal. Both are authors.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from wicketd.domain.json import JsonObject


class Permission(StrEnum):
    """What an admin socket admits; WRITE includes READ."""

    READ = "read"
    WRITE = "write"


class Author(Protocol):
    """Whoever a change and its audit row are ascribed to."""

    def signature(self) -> JsonObject:
        """The part of an audit row that names the author: `actor` or `accountId`."""

    def label(self) -> str:
        """How columns such as `created_by` name the author."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A peer of an admin socket. `pid` is recorded and never authorises."""

    uid: int
    name: str
    pid: int
    permission: Permission

    def signature(self) -> JsonObject:
        """The part of an audit row that names the author."""
        return {"actor": {"uid": self.uid, "name": self.name, "pid": self.pid}}

    def label(self) -> str:
        """How columns such as `created_by` name this actor."""
        return f"uid:{self.uid}" if self.uid >= 0 else "system"


SYSTEM: Final = Actor(uid=-1, name="system", pid=0, permission=Permission.WRITE)
"""The daemon acting by itself: seeding, sweeping, recovering."""
