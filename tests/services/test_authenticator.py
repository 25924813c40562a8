"""When wrong codes lock, and for how long; what a code proves is in `test_second_factor`."""

import pytest

from wicketd.domain.errors import Invalid, Locked
from wicketd.services.authenticator import Proof, Verdict, lock_until

MINUTE = 60_000


@pytest.mark.parametrize(
    ("failures", "plain_min", "doubling_min"),
    [
        (1, None, None),
        (4, None, None),
        (5, 15, 15),
        (6, None, None),
        (10, 15, 30),
        (15, 15, 60),
        (35, 15, 960),
        (40, 15, 1440),
        (5000, 15, 1440),
    ],
)
def test_every_fifth_failure_locks_and_doubles_where_it_is_the_only_proof(
    failures: int, plain_min: int | None, doubling_min: int | None
) -> None:
    for minutes, doubling in ((plain_min, False), (doubling_min, True)):
        expected = None if minutes is None else 7 + minutes * MINUTE
        assert lock_until(failures, 7, is_doubling=doubling) == expected


def test_a_verdict_is_a_proof_a_lock_or_a_refusal() -> None:
    assert Verdict(Proof.TOTP).require() is Proof.TOTP
    with pytest.raises(Locked) as caught:
        Verdict(locked_until=99).require()
    assert caught.value.until_ms == 99
    with pytest.raises(Invalid):
        Verdict().require()
