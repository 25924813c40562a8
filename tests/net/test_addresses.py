import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.net.addresses import DENIED, NEVER, is_denied, is_loopback_host

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "140.82.112.3",
    "172.15.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("ip", PRIVATE)
@pytest.mark.requirement("N11")
def test_an_address_of_the_deny_list_is_denied(ip: str) -> None:
    assert is_denied(ip)


@pytest.mark.parametrize("ip", PUBLIC)
def test_a_public_address_is_not_denied(ip: str) -> None:
    assert not is_denied(ip)


@pytest.mark.parametrize("ip", ["", "localhost", "127.1", "2130706433", "0x7f.1", "017700000001"])
def test_what_is_no_canonical_address_is_denied(ip: str) -> None:
    assert is_denied(ip)


def test_an_allowed_network_opens_its_addresses_and_no_others() -> None:
    allowed = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd12::/32"))
    assert not is_denied("10.1.2.3", allowed)
    assert not is_denied("fd12::5", allowed)
    assert is_denied("10.2.0.1", allowed)
    assert is_denied("192.168.0.1", allowed)


@pytest.mark.parametrize(
    "ip",
    [
        "169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "192.0.0.192",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "::a9fe:a9fe",
    ],
)
def test_no_allowed_network_opens_a_metadata_service(ip: str) -> None:
    everything = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    assert is_denied(ip, everything)


@given(st.ip_addresses())
def test_an_address_is_denied_exactly_if_a_network_of_the_lists_holds_it(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    networks = (*DENIED, *NEVER)
    assert is_denied(str(address)) == any(
        address in network for network in networks if network.version == address.version
    )


@given(st.sampled_from(DENIED), st.integers(min_value=0))
def test_every_address_of_a_denied_network_is_denied_in_each_spelling(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, offset: int
) -> None:
    address = network[offset % network.num_addresses]
    assert is_denied(str(address))
    assert is_denied(address.exploded)


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1"])
def test_a_loopback_host_is_this_machine(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "10.0.0.1", "::ffff:127.0.0.1", "127.0.0.1.example", "localhost.example"],
)
def test_any_other_host_may_be_elsewhere(host: str) -> None:
    assert not is_loopback_host(host)
