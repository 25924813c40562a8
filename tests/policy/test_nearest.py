"""Names that were meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.policy.nearest import distance, nearest


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("huor", "hour"), ("HOUR", "hour"), ("delete_fil", "delete_file"), ("gihtub", "github")],
)
def test_a_slip_of_the_keyboard_finds_its_name(wrong: str, right: str) -> None:
    assert nearest(wrong, ["minute", right, "weekday"]) == [right]


def test_a_name_that_is_far_away_is_not_offered() -> None:
    assert nearest("robot", ["member", "service", "tool"]) == []
    assert nearest("x" * 500, ["x" * 499]) == []


def test_at_most_three_are_offered_nearest_first() -> None:
    assert nearest("abcdef", ["abcxyf", "abcdeg", "abcdefg", "abcde"]) == [
        "abcde",
        "abcdefg",
        "abcdeg",
    ]


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_distance_is_symmetric_and_zero_only_for_equal_texts(one: str, other: str) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)
