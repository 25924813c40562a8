"""The fixed requests of every start (policy spec, 3.2)."""

from wicketd.policy import vectors


def test_there_are_twelve_with_names_of_their_own() -> None:
    assert len({vector.name for vector in vectors.vectors()}) == 12


def test_they_cover_allow_deny_error_and_both_list_answers() -> None:
    expected = {vector.expected for vector in vectors.vectors()}
    assert {"permitted", "forbidden", "no_permit", "engine_error", "listed", "hidden"} <= expected
