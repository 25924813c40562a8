"""The addresses we never dial. Counterpart of `net.client`; pure; an unreadable address is denied.

`ipaddress.is_global` does not serve: it is true for 64:ff9b::a9fe:a9fe, 192.0.0.192 and multicast
(measured).
Source: security spec, 6.6.
"""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

Network: TypeAlias = "IPv4Network | IPv6Network"

LOOPBACK: Final[tuple[Network, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

DENIED: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)

NEVER: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
        "100.100.100.200/32",
        "192.0.0.192/32",
    )
)
"""Metadata services and link-local neighbours: no connector file opens them."""


def is_loopback_host(host: str) -> bool:
    """Whether a host can only be this machine: `localhost` or a literal loopback address.

    Any other name may resolve elsewhere tomorrow and counts as foreign, as does a mapped address.
    """
    if host.lower() == "localhost":
        return True
    try:
        return _within(ip_address(host), LOOPBACK)
    except ValueError:
        return False


def is_denied(ip: str, allowed: Sequence[Network] = ()) -> bool:
    """Says whether an address may not be dialled.

    `ip`: a numeric IPv4 or IPv6 text, with or without a scope id; `allowed`: networks that a
    connector file opens for its own host. An IPv4 address inside an IPv6 one is judged as both.
    """
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return True
    embedded = _embedded(address)
    if _within(address, NEVER) or (embedded is not None and _within(embedded, NEVER)):
        return True
    return _within(address, DENIED) and not _within(address, allowed)


def _within(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one carries: mapped, compatible, NAT64 or 6to4."""
    if isinstance(address, IPv4Address):
        return None
    if address.sixtofour is not None:
        return address.sixtofour
    high = int(address) >> 32
    if high in (0, 0xFFFF, 0x64FF9B << 64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
