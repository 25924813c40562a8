"""What a start decides before it listens (policy spec, 3.2)."""

import pytest

from wicketd.domain.errors import Fatal
from wicketd.policy.selftest import self_test
from wicketd.policy.vectors import Vector


def test_the_start_up_vectors_hold() -> None:
    self_test()


def test_a_vector_that_does_not_hold_stops_the_start() -> None:
    wrong = Vector("wrong", "permit (principal, action, resource);", "forbidden")
    with pytest.raises(Fatal, match="wrong gave permitted"):
        self_test([wrong])
