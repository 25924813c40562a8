"""Who may be connected: places, who has to make room, who is at the other end.

Counterpart of `server.WireProtocol`, which asks at connect and tells when a connection is gone.
Invariant: a client that has shown a valid key is never thrown out for one that has not (security
spec, section 8).
"""

import ipaddress
import logging
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from wicketd.net.addresses import Network
from wicketd.net.hosts import is_within
from wicketd.proxy.wire import MAX_BODY

Peer: TypeAlias = tuple[int, int, int, tuple[int, ...]]
"""pid, uid, gid and supplementary groups of the process at the other end of a Unix socket."""

log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 1024
MAX_PER_IP: Final = 64
_SO_PEERGROUPS: Final = 59
_PEERGROUPS_BYTES: Final = 1024
"""256 groups; whoever has more is refused, not cut short."""
_NOBODY: Final = 65534


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that a connection may take for each part of an exchange."""

    header_s: float = 10.0
    body_s: float = 11.0
    """A second more than the app's own 408, which has a body."""
    keep_alive_s: int = 10
    proxy_keep_alive_s: int = 75
    write_s: float = 30.0


class Connection(Protocol):
    """What holds a place."""

    def abort(self) -> None:
        """Ends it at once."""


class Door:
    """The connections of one listener, and how many there may be.

    `per_ip` does not bind loopback addresses and `trusted` proxies. When all places are taken, the
    oldest connection that has shown no valid key makes room.
    """

    def __init__(
        self,
        *,
        deadlines: Deadlines = Deadlines(),
        max_connections: int = MAX_CONNECTIONS,
        per_ip: int = MAX_PER_IP,
        trusted: tuple[Network, ...] = (),
        max_body: int = MAX_BODY,
    ) -> None:
        self.deadlines = deadlines
        self.max_body = max_body
        self._max_connections = max_connections
        self._per_ip = per_ip
        self._trusted = trusted
        self._strangers: dict[Connection, str] = {}
        self._known: dict[Connection, str] = {}
        self._by_ip: Counter[str] = Counter()

    def is_trusted(self, ip: str) -> bool:
        """Whether `ip` is one of the configured proxies."""
        return is_within(ip, self._trusted)

    def enter(self, connection: Connection, ip: str) -> bool:
        """Takes a place; False if there is none."""
        is_free = not ip or ipaddress.ip_address(ip).is_loopback or self.is_trusted(ip)
        if not is_free and self._by_ip[ip] >= self._per_ip:
            return False
        if len(self._strangers) + len(self._known) >= self._max_connections:
            oldest = next(iter(self._strangers), None)
            if oldest is None:
                return False
            self.leave(oldest)
            oldest.abort()
        self._strangers[connection] = ip
        self._by_ip[ip] += 1
        return True

    def vouch(self, connection: Connection) -> None:
        """A valid key came over this connection: it is not the one to go."""
        if connection in self._strangers:
            self._known[connection] = self._strangers.pop(connection)

    def leave(self, connection: Connection) -> None:
        """Gives the place back."""
        ip = self._strangers.pop(connection, None)
        ip = self._known.pop(connection, None) if ip is None else ip
        if ip is not None:
            self._by_ip[ip] -= 1
            if not self._by_ip[ip]:
                del self._by_ip[ip]


def read_peer(connection: socket.socket) -> Peer | None:
    """Who connected to a Unix socket, as the kernel saw it then; None if that cannot be told.

    Source: security spec, section 9.
    """
    level = socket.SOL_SOCKET
    try:
        pid, uid, gid = struct.unpack("iII", connection.getsockopt(level, socket.SO_PEERCRED, 12))
        packed = connection.getsockopt(level, _SO_PEERGROUPS, _PEERGROUPS_BYTES)
    except OSError as error:
        log.warning("Cannot read the peer of an admin connection: %s", error)
        return None
    if uid == _NOBODY:
        log.warning("An admin peer has uid 65534. Remove PrivateUsers from the unit.")
        return None
    return pid, uid, gid, struct.unpack(f"{len(packed) // 4}I", packed)
