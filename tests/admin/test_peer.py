"""Who an admin socket admits; other users come as the kernel would report them."""

import grp
import os

import pytest

from wicketd.admin.peer import SCOPE_KEY, Admission, Peer, peer_of
from wicketd.domain.actor import Permission
from wicketd.domain.errors import PeerRefused

GROUP = grp.getgrall()[1]
STRANGER = 4242


def admission(*, write: str | None = None, read: str | None = None) -> Admission:
    return Admission(daemon_uid=987, write_group=write, read_group=read)


def peer(uid: int, *groups: int, read_only: bool = False) -> Peer:
    return Peer(uid, 4242, 1, frozenset(groups), read_only)


@pytest.mark.parametrize("uid", [0, 987])
def test_root_and_the_daemons_own_user_may_write(uid: int) -> None:
    actor = admission().actor(peer(uid))

    assert (actor.uid, actor.permission) == (uid, Permission.WRITE)


def test_a_member_of_the_write_group_may_write() -> None:
    actor = admission(write=GROUP.gr_name).actor(peer(STRANGER, GROUP.gr_gid))

    assert actor.permission is Permission.WRITE
    assert actor.name == "uid:4242"


@pytest.mark.requirement("P21")
def test_anybody_else_is_refused_with_the_command_that_helps() -> None:
    with pytest.raises(PeerRefused) as caught:
        admission(write=GROUP.gr_name).actor(peer(STRANGER))

    assert f"usermod -aG {GROUP.gr_name}" in (caught.value.hint or "")


def test_the_read_group_does_not_open_the_write_socket() -> None:
    with pytest.raises(PeerRefused):
        admission(read=GROUP.gr_name).actor(peer(STRANGER, GROUP.gr_gid))


@pytest.mark.requirement("P22")
@pytest.mark.parametrize("uid", [0, 987, STRANGER])
def test_the_read_only_socket_caps_everybody_root_included(uid: int) -> None:
    asked = peer(uid, GROUP.gr_gid, read_only=True)

    assert admission(read=GROUP.gr_name).actor(asked).permission is Permission.READ


def test_a_group_that_does_not_exist_admits_nobody() -> None:
    with pytest.raises(PeerRefused):
        admission(write="no-such-group-here").actor(peer(STRANGER))


def test_an_unmapped_or_unread_peer_is_refused() -> None:
    for state in ({}, {SCOPE_KEY: None}, {SCOPE_KEY: (1, 65534, 65534, ())}):
        with pytest.raises(PeerRefused):
            peer_of(state, read_only=False)


def test_a_streams_peer_is_asked_for_in_the_group_database() -> None:
    rules = admission(write=GROUP.gr_name)

    assert rules.still_admits(peer(0))
    assert not rules.still_admits(peer(STRANGER, GROUP.gr_gid))


def test_the_peers_facts_are_taken_as_the_kernel_gave_them() -> None:
    found = peer_of({SCOPE_KEY: (7, os.getuid(), os.getgid(), (1, 2))}, read_only=True)

    assert found == Peer(os.getuid(), os.getgid(), 7, frozenset({1, 2}), read_only=True)
