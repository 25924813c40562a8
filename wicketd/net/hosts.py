"""Who asks and under which name: the Host and Origin values that are ours, the client's address.

Both faces of the HTTP listener, `proxy` and `portal`, ask here, so they cannot disagree. Pure.
Source: protocol spec, C3 and C4; security spec, section 8.
"""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from wicketd.net.addresses import Network

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_AUTHORITY: Final = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_DEFAULT_PORTS: Final = frozenset({"80", "443"})


class Hosts:
    """The names under which we may be addressed.

    `public_url`: its host, with its port or none; `extra`: more `host` or `host:port` texts;
    `is_loopback`: the bind is one, so the loopback names count, with any port.
    """

    def __init__(self, public_url: str, extra: Sequence[str] = (), *, is_loopback: bool) -> None:
        url = urlsplit(public_url)
        names = {url.netloc.lower(), *(name.lower() for name in extra)}
        self._names = frozenset(name for name in names if name)
        self._is_loopback = is_loopback

    def admits(self, authority: str) -> bool:
        """Whether a Host value is ours (C3)."""
        match = _AUTHORITY.fullmatch(authority.lower())
        if match is None:
            return False
        if self._is_loopback and match[1] in _LOOPBACK:
            return True
        is_default = match[2] is None or match[2] in _DEFAULT_PORTS
        return match[0] in self._names or (is_default and match[1] in self._names)

    def admits_origin(self, origin: str) -> bool:
        """Whether an Origin value is ours (C4); `null` is not."""
        scheme, mark, authority = origin.partition("://")
        return bool(mark) and scheme.lower() in ("http", "https") and self.admits(authority)


def is_within(ip: str, networks: Sequence[Network]) -> bool:
    """Whether the address text lies in one of the networks; no address lies in none."""
    if not ip or not networks:
        return False
    address = ip_address(ip)
    return any(address in network for network in networks)


def client_ip(peer: str, headers: Sequence[tuple[bytes, bytes]], trusted: Sequence[Network]) -> str:
    """The address that policies see: the peer, or behind trusted proxies the hop they vouch for.

    The right-most address of `X-Forwarded-For` that is no trusted proxy counts; what does not read
    as an address ends the walk, for everything left of it is the client's own claim.
    """
    if not is_within(peer, trusted):
        return peer
    forwarded = b",".join(value for name, value in headers if name == b"x-forwarded-for")
    for hop in reversed(forwarded.decode("latin-1").split(",")):
        try:
            address = str(ip_address(hop.strip()))
        except ValueError:
            return peer
        if not is_within(address, trusted):
            return address
        peer = address
    return peer
