"""Locks of addresses that nobody has: the same schedule, in bounded memory."""

from wicketd.services.decoys import HOUR_MS, KEPT, PER_IP, Decoys, IpFailures


def test_an_address_locks_and_is_free_again() -> None:
    decoys = Decoys()
    assert [decoys.fail("a@b", 0) for _ in range(5)] == [None] * 4 + [15 * 60_000]
    assert decoys.locked_until("a@b", 1) == 15 * 60_000
    assert decoys.locked_until("c@b", 1) is None
    assert decoys.locked_until("a@b", 15 * 60_000) is None


def test_what_is_kept_is_bounded_and_the_longest_unused_goes_first() -> None:
    decoys, ips = Decoys(), IpFailures()
    for _ in range(5):
        decoys.fail("first@b", 0)
    for _ in range(PER_IP):
        ips.fail("first", 0)
    for n in range(KEPT):
        decoys.fail(f"{n}@b", 0)
        ips.fail(str(n), 0)
    assert decoys.locked_until("first@b", 1) is None
    assert ips.full_until("first", 1) is None


def test_an_ip_is_full_for_an_hour_behind_its_twentieth_last_failure() -> None:
    ips = IpFailures()
    for n in range(PER_IP):
        assert ips.full_until("ip", n) is None
        ips.fail("ip", n)
    assert ips.full_until("ip", 100) == HOUR_MS
    assert ips.full_until("ip", HOUR_MS) is None
    assert ips.full_until("other", 100) is None
