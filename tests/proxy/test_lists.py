"""`proxy.lists`: merge, order, digest, pages and cursors."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fronts import START_MS, CountingRandom, make_tool
from wicketd.domain.calls import Era
from wicketd.domain.catalogue import Listing
from wicketd.domain.ids import MemberId
from wicketd.domain.json import JsonObject
from wicketd.proxy.lists import (
    CURSOR_MS,
    CURSORS_PER_MEMBER,
    PAGE_BYTES,
    PAGE_ITEMS,
    UNAVAILABLE_KEY,
    Cursors,
    ListView,
    digest,
    list_result,
    merge,
    merge_others,
    page,
)

ANA, BOB = MemberId("ana"), MemberId("bob")
PLACE = (ANA, "tools/list", "digest")


def names_of(view: ListView) -> list[object]:
    return [tool["name"] for tool in view.tools]


def test_tools_get_the_prefix_of_their_service_and_stand_in_code_point_order() -> None:
    view = merge(
        {"b": [make_tool("z"), make_tool("B"), make_tool("a")], "a": [make_tool("q")]}, None
    )
    assert names_of(view) == ["a__q", "b__B", "b__a", "b__z"]


def test_only_what_policy_shows_is_listed_and_equal_names_are_told_apart() -> None:
    view = merge({"a": [make_tool("x")], "b": [make_tool("x")]}, frozenset({("b", "x")}))
    assert names_of(view) == ["b__x"]


@given(st.permutations(range(6)), st.permutations(range(6)))
def test_the_order_of_answers_changes_neither_list_nor_digest(
    one: list[int], two: list[int]
) -> None:
    def view(order: list[int]) -> ListView:
        catalogues: dict[str, list[JsonObject]] = {}
        for number in order:
            catalogues.setdefault(f"s{number % 2}", []).append(make_tool(f"t{number}"))
        notes: list[JsonObject] = [
            {"service": f"s{number}", "reason": "timeout"} for number in order if number > 3
        ]
        return merge(catalogues, None, notes)

    assert view(one) == view(two)
    assert digest(view(one)) == digest(view(two))


def test_a_digest_sees_every_change_and_no_order_of_members() -> None:
    view = merge({"a": [make_tool("x", title="t")]}, None)
    turned = merge({"a": [{"title": "t", "inputSchema": {"type": "object"}, "name": "x"}]}, None)
    assert digest(view) == digest(turned)
    changed = [
        merge({"a": [make_tool("x", title="u")]}, None),
        merge({"b": [make_tool("x", title="t")]}, None),
        merge({"a": [make_tool("x", title="t")]}, None, [{"service": "b", "reason": "timeout"}]),
    ]
    assert len({digest(view), *map(digest, changed)}) == 4


@pytest.mark.parametrize("name", ["x" * 46, "bad name", "", "ü"])
def test_a_tool_that_cannot_be_named_is_left_out_with_a_note(name: str) -> None:
    view = merge({"a": [make_tool(name), make_tool("x" * 45)]}, None)
    assert names_of(view) == ["a__" + "x" * 45]
    assert view.unavailable == [{"service": "a", "reason": "tools_excluded"}]


def test_what_cannot_work_through_us_is_stripped_and_the_upstreams_value_left_alone() -> None:
    tool = make_tool("x", execution={"taskSupport": "required"}, _meta={"ui": {}, "k": 1})
    only_ui = make_tool("y", _meta={"ui": {}})
    first, second = merge({"a": [tool, only_ui]}, None).tools
    assert first == make_tool("a__x", _meta={"k": 1})
    assert second == make_tool("a__y")
    assert tool["name"] == "x"
    assert "execution" in tool


items = st.lists(st.integers(0, 400_000).map(lambda size: make_tool("x" * size)), max_size=8)


@given(items)
def test_pages_hold_everything_once_and_stay_within_a_mebibyte(tools: list[JsonObject]) -> None:
    seen: list[JsonObject] = []
    offset: int | None = 0
    while offset is not None:
        taken, offset = page(tools, offset)
        seen += taken
        size = sum(len(msgspec.json.encode(tool)) for tool in taken)
        assert size <= PAGE_BYTES or len(taken) == 1
    assert seen == tools


def test_a_page_has_at_most_500_items() -> None:
    tools = [make_tool(str(number)) for number in range(PAGE_ITEMS + 1)]
    taken, following = page(tools, 0)
    assert (len(taken), following) == (PAGE_ITEMS, PAGE_ITEMS)
    assert page(tools, PAGE_ITEMS) == (tools[-1:], None)


@pytest.mark.requirement("L10", "M11")
def test_each_era_gets_its_own_members() -> None:
    view = ListView([make_tool("a__x", outputSchema={"type": "string"})], [])
    legacy = list_result(view, Listing.TOOLS, 0, "next", Era.LEGACY)
    assert legacy == {"tools": [make_tool("a__x")], "nextCursor": "next"}
    result = list_result(view, Listing.TOOLS, 0, None, Era.MODERN)
    assert (result["ttlMs"], result["cacheScope"]) == (60_000, "private")
    assert result["tools"] == view.tools
    partial = ListView(view.tools, [{"service": "b", "reason": "timeout"}])
    assert list_result(partial, Listing.TOOLS, 0, None, Era.MODERN)["ttlMs"] == 5_000
    assert list_result(partial, Listing.TOOLS, 0, None, Era.LEGACY)["_meta"] == {
        UNAVAILABLE_KEY: partial.unavailable
    }
    nothing = ListView([], [])
    assert list_result(nothing, Listing.PROMPTS, 0, None, Era.LEGACY) == {"prompts": []}


def test_prompts_and_resources_stand_under_front_names_in_order_and_hidden_ones_do_not() -> None:
    catalogues: dict[str, list[JsonObject]] = {
        "b": [{"uri": "x://2"}, {"uri": "x://1"}],
        "a": [{"uri": "x://1"}, {"uri": "x://hidden"}],
    }
    shown = frozenset({("a", "x://1"), ("b", "x://1"), ("b", "x://2")})
    view = merge_others(catalogues, shown, (), Listing.RESOURCES)
    assert [item["uri"] for item in view.tools] == ["a+x://1", "b+x://1", "b+x://2"]
    named: dict[str, list[JsonObject]] = {"a": [{"name": "p"}, {"name": "p" * 128}]}
    shown = frozenset({("a", "p"), ("a", "p" * 128)})
    assert [item["name"] for item in merge_others(named, shown, (), Listing.PROMPTS).tools] == [
        "a__p"
    ]


def test_a_cursor_opens_its_own_place_as_often_as_asked() -> None:
    cursors = Cursors(CountingRandom())
    cursor = cursors.mint(PLACE, 500, START_MS)
    assert cursors.redeem(cursor, PLACE, START_MS) == 500
    assert cursors.redeem(cursor, PLACE, START_MS + CURSOR_MS - 1) == 500


@pytest.mark.parametrize(
    "place",
    [(BOB, "tools/list", "digest"), (ANA, "prompts/list", "digest"), (ANA, "tools/list", "new")],
)
def test_a_foreign_or_stale_cursor_opens_nothing(place: tuple[MemberId, str, str]) -> None:
    cursors = Cursors(CountingRandom())
    assert cursors.redeem(cursors.mint(PLACE, 500, START_MS), place, START_MS) is None
    assert cursors.redeem("unknown", place, START_MS) is None


def test_cursors_expire_and_leave_nothing_behind() -> None:
    cursors = Cursors(CountingRandom())
    old = cursors.mint(PLACE, 1, START_MS)
    cursors.mint((BOB, "tools/list", ""), 1, START_MS + CURSOR_MS)
    assert cursors.redeem(old, PLACE, START_MS + CURSOR_MS) is None
    assert set(cursors._by_member) == {BOB}
    assert len(cursors._places) == 1


def test_a_member_keeps_the_newest_64_cursors() -> None:
    cursors = Cursors(CountingRandom())
    minted = [cursors.mint(PLACE, number, START_MS) for number in range(CURSORS_PER_MEMBER + 1)]
    assert cursors.redeem(minted[0], PLACE, START_MS) is None
    assert cursors.redeem(minted[1], PLACE, START_MS) == 1
    cursors.mint(PLACE, 0, START_MS + CURSOR_MS)
    assert len(cursors._places) == 1
