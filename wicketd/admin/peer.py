"""Who is at the other end of an admin socket, by the kernel's word: SO_PEERCRED and SO_PEERGROUPS.

The file mode of the socket admits, this module decides. Never by pid, never by anything the peer
says. Source: security specification, section 9.
"""

import grp
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wicketd.domain.actor import Actor, Permission
from wicketd.domain.errors import PeerRefused

SCOPE_KEY: Final = "wicket.peer"
"""Where the server puts (pid, uid, gid, groups) of a connection: in the ASGI scope's `state`."""

_NOBODY: Final = 65534
"""What a uid looks like that this user namespace does not map."""
_NAMESPACE_HINT: Final = "Run wicketd without PrivateUsers; the admin socket needs real user ids."


@dataclass(frozen=True, slots=True)
class Peer:
    """The kernel's facts about a connection, taken when it was accepted.

    `read_only`: it came over the read-only socket, so not even root may change anything.
    """

    uid: int
    gid: int
    pid: int
    groups: frozenset[int]
    read_only: bool


@dataclass(frozen=True, slots=True)
class Admission:
    """Who is admitted. `write_group`, `read_group`: names in the group database, or None."""

    daemon_uid: int
    write_group: str | None
    read_group: str | None

    def actor(self, peer: Peer) -> Actor:
        """The peer as the audit will name it, with what this socket lets it do.

        Raises:
            PeerRefused: it is in no admitted group.
        """
        if not self._admits(peer, peer.groups | {peer.gid}):
            raise _refused(self.write_group, self.read_group, peer)
        permission = Permission.READ if peer.read_only else Permission.WRITE
        return Actor(peer.uid, _name(peer.uid), peer.pid, permission)

    def still_admits(self, peer: Peer) -> bool:
        """Whether the group database, read now, would admit the peer; for streams, every 60 s."""
        return self._admits(peer, _groups_now(peer.uid))

    def _admits(self, peer: Peer, gids: frozenset[int]) -> bool:
        if peer.uid == _NOBODY:
            return False
        if peer.uid in (0, self.daemon_uid):
            return True
        names = (self.write_group, self.read_group) if peer.read_only else (self.write_group,)
        return any(_gid(name) in gids for name in names if name)


def peer_of(state: Mapping[str, object], *, read_only: bool) -> Peer:
    """The peer that the server read when it accepted the connection.

    Raises:
        PeerRefused: the server does not know it, or its uid is not mapped here.
    """
    facts = state.get(SCOPE_KEY)
    if not isinstance(facts, tuple):
        message = "The peer of this connection cannot be read."
        raise PeerRefused(message, hint=_NAMESPACE_HINT)
    pid, uid, gid, groups = facts
    if uid == _NOBODY:
        message = "The peer's user id is not mapped into this daemon's user namespace."
        raise PeerRefused(message, hint=_NAMESPACE_HINT)
    return Peer(uid, gid, pid, frozenset(groups), read_only)


def _gid(group: str) -> int | None:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _groups_now(uid: int) -> frozenset[int]:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return frozenset()
    member_of = {group.gr_gid for group in grp.getgrall() if entry.pw_name in group.gr_mem}
    return frozenset(member_of | {entry.pw_gid})


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"


def _refused(write_group: str | None, read_group: str | None, peer: Peer) -> PeerRefused:
    group = (read_group or write_group) if peer.read_only else write_group
    hint = "Ask whoever runs this daemon; it admits only its own user and root."
    if group:
        hint = f'Join the group with "sudo usermod -aG {group} $USER", then sign in again.'
    return PeerRefused("You are not in a group that this socket admits.", hint=hint)
