"""`proxy.door`: places for connections."""

import os
import socket
import struct
from ipaddress import ip_network

import pytest
from typing_extensions import override

from wicketd.proxy.door import Door, read_peer


class Guest:
    """A connection that notes its end."""

    def __init__(self) -> None:
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


def test_the_oldest_stranger_makes_room_and_a_known_client_never() -> None:
    door = Door(max_connections=3)
    guests = [Guest() for _ in range(4)]
    for guest in guests[:3]:
        assert door.enter(guest, "127.0.0.1")
    door.vouch(guests[0])
    assert door.enter(guests[3], "127.0.0.1")
    assert [guest.is_aborted for guest in guests] == [False, True, False, False]


def test_a_house_full_of_known_clients_lets_nobody_in() -> None:
    door = Door(max_connections=1)
    known, stranger = Guest(), Guest()
    door.enter(known, "127.0.0.1")
    door.vouch(known)
    assert not door.enter(stranger, "127.0.0.1")
    door.leave(known)
    door.leave(known)
    assert door.enter(stranger, "127.0.0.1")


@pytest.mark.parametrize(
    ("ip", "is_bound"),
    [("192.0.2.1", True), ("127.0.0.9", False), ("::1", False), ("10.1.2.3", False), ("", False)],
)
def test_an_address_has_its_share_unless_it_is_ours_or_a_trusted_proxy(
    ip: str, *, is_bound: bool
) -> None:
    door = Door(per_ip=2, trusted=(ip_network("10.0.0.0/8"),))
    guests = [Guest() for _ in range(3)]
    assert [door.enter(guest, ip) for guest in guests] == [True, True, not is_bound]
    door.leave(guests[0])
    assert door.enter(Guest(), ip)


def test_the_peer_of_a_unix_socket_is_the_process_at_its_other_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = read_peer(ours)
        assert peer is not None
        assert peer[:3] == (os.getpid(), os.geteuid(), os.getegid())
        assert set(peer[3]) == set(os.getgroups())


def test_a_peer_that_cannot_be_read_is_none(caplog: pytest.LogCaptureFixture) -> None:
    closed = socket.socket(socket.AF_UNIX)
    closed.close()
    assert read_peer(closed) is None
    assert "Cannot read the peer" in caplog.text


def test_a_peer_mapped_to_nobody_is_refused_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Mapped(socket.socket):
        @override
        def getsockopt(self, *_: int) -> bytes:  # type: ignore[override]
            return struct.pack("iII", 1, 65534, 65534)

    with Mapped(socket.AF_UNIX) as mapped:
        assert read_peer(mapped) is None
    assert "PrivateUsers" in caplog.text
