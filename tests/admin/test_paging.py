"""Pages of short lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.admin.paging import page
from wicketd.api.types.listing import Page, Paged
from wicketd.domain.errors import BadRequest


def paged(items: list[str], ask: Paged) -> Page[str]:
    return page(items, ask, key=str, view=str.upper)


@given(st.lists(st.text(min_size=1), unique=True), st.integers(min_value=1, max_value=5))
def test_following_the_cursors_gives_each_item_once(items: list[str], limit: int) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        found = paged(items, Paged(limit=limit, cursor=cursor))
        seen += found.items
        assert len(found.items) <= limit
        cursor = found.next
        if cursor is None:
            break

    assert seen == [item.upper() for item in items]


def test_a_page_does_not_shift_when_an_earlier_item_goes() -> None:
    first = paged(["a", "b", "c"], Paged(limit=2))

    assert paged(["b", "c"], Paged(limit=2, cursor=first.next)).items == ("C",)


@pytest.mark.parametrize("cursor", ["x", "!!", "_w", "YQ"])
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest, match="from its start"):
        paged(["b"], Paged(cursor=cursor))
