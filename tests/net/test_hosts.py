"""Which Host and Origin values are ours, and who the client behind a proxy is."""

from ipaddress import ip_network

import pytest

from wicketd.net.hosts import Hosts, client_ip, is_within


@pytest.mark.requirement("C3")
def test_loopback_names_count_only_on_a_loopback_bind() -> None:
    hosts = Hosts("https://wicket.example", ["other.example:8443"], is_loopback=False)
    assert not hosts.admits("localhost")
    assert hosts.admits("wicket.example:443")
    assert hosts.admits("other.example:8443")
    assert not hosts.admits("other.example")


TRUSTED = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("", "198.51.100.7", ""),
    ],
)
def test_only_trusted_proxies_say_who_the_client_is(
    peer: str, forwarded: str, expected: str
) -> None:
    headers = ((b"x-forwarded-for", forwarded.encode()),)
    assert client_ip(peer, headers, TRUSTED) == expected


def test_no_address_is_within_no_network() -> None:
    assert not is_within("", (ip_network("0.0.0.0/0"),))
    assert not is_within("192.0.2.1", ())
