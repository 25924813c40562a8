"""Points in time as people give them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.admin.mapping import iso, millis
from wicketd.admin.moments import moment
from wicketd.domain.errors import Invalid

NOW = 1_767_225_600_000
"""2026-01-01T00:00:00Z"""


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        (None, None),
        ("30s", NOW - 30_000),
        ("1h", NOW - 3_600_000),
        ("7d", NOW - 7 * 86_400_000),
        ("2026-01-01T00:00:00Z", NOW),
        ("2026-01-01T01:00:00+01:00", NOW),
        ("2026-01-01", NOW),
    ],
)
def test_a_time_is_iso_or_how_long_ago(text: str | None, at_ms: int | None) -> None:
    assert moment(text, NOW) == at_ms


@pytest.mark.parametrize("text", ["", "yesterday", "1y", "-1h", "2026-13-01"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid, match="2026-01-31T12:00:00Z"):
        moment(text, NOW)


@given(st.integers(min_value=0, max_value=4_102_444_800_000))
def test_times_survive_the_wire(at_ms: int) -> None:
    assert millis(iso(at_ms)) == at_ms
    assert len(iso(at_ms)) == len("2026-01-31T12:00:00.000Z")
