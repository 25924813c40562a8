"""Tool lists compared without any I/O: properties over arbitrary servers."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.support.state import NOTES, OPEN, tool
from wicketd.connectors.catalogue import parse_connector
from wicketd.domain.catalogue import Tier, Tool, ToolStatus
from wicketd.domain.json import JsonObject
from wicketd.services.discovery import (
    HARM,
    Reading,
    declared,
    definition_hash,
    is_changed,
    plan,
)

CONNECTOR = parse_connector(OPEN.encode(), "test")
FIRST = Reading(CONNECTOR, 48, 1_000, is_first=True)
LATER = Reading(CONNECTOR, 48, 2_000, is_first=False)
HINTS = st.fixed_dictionaries(
    {}, optional={"readOnlyHint": st.booleans(), "destructiveHint": st.booleans()}
)
LISTS = st.lists(
    st.builds(tool, st.sampled_from(["look", "wipe", "act", "any", "a b"]), HINTS), max_size=6
)


def taken(stored: tuple[Tool, ...], listed: list[JsonObject], reading: Reading) -> tuple[Tool, ...]:
    """What is stored after a list."""
    return plan(stored, listed, reading).tools


@given(listed=LISTS)
def test_taking_the_same_list_twice_changes_nothing(listed: list[JsonObject]) -> None:
    once = taken((), listed, FIRST)
    again = plan(once, listed, LATER)
    assert (again.writes, again.changes) == ((), ())


@given(listed=LISTS, order=st.randoms(use_true_random=False))
def test_the_order_of_a_list_does_not_matter(
    listed: list[JsonObject], order: random.Random
) -> None:
    unique = list({str(one["name"]): one for one in listed}.values())
    shuffled = list(unique)
    order.shuffle(shuffled)
    assert plan((), unique, FIRST) == plan((), shuffled, FIRST)


@given(before=LISTS, after=LISTS)
def test_no_list_lowers_a_tier_by_itself(before: list[JsonObject], after: list[JsonObject]) -> None:
    stored = {one.name: one for one in taken((), before, FIRST)}
    for one in taken(tuple(stored.values()), after, LATER):
        if one.name in stored:
            assert HARM.index(one.tier) >= HARM.index(stored[one.name].tier)


@given(before=LISTS, after=LISTS)
def test_only_what_was_acknowledged_counts_as_changed(
    before: list[JsonObject], after: list[JsonObject]
) -> None:
    stored = taken((), before, FIRST)
    assert not any(is_changed(one) for one in stored)
    for one in taken(stored, after, LATER):
        if is_changed(one):
            assert any(old.name == one.name and old.hash != one.hash for old in stored)


@given(before=LISTS, after=LISTS)
def test_every_difference_of_an_active_tool_is_reported(
    before: list[JsonObject], after: list[JsonObject]
) -> None:
    stored = {one.name: one for one in taken((), before, FIRST)}
    found = plan(tuple(stored.values()), after, LATER)
    reported = {change.after.name for change in found.changes}
    for one in found.tools:
        old = stored.get(one.name)
        is_same = old is not None and (old.hash, old.status) == (one.hash, one.status)
        assert is_same or one.name in reported


def test_of_equal_names_the_first_counts_and_nonsense_is_skipped() -> None:
    listed: list[JsonObject] = [
        tool("look", title="A"),
        tool("look", title="B"),
        {"name": 7},
        {},
        {"name": ""},
    ]
    (look,) = taken((), listed, FIRST)
    assert look.definition == tool("look", title="A")


def test_the_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert definition_hash({"a": 1, "b": {"c": 2, "d": 3}}) == definition_hash(
        {"b": {"d": 3, "c": 2}, "a": 1}
    )
    assert definition_hash({"a": 1}) != definition_hash({"a": 2})


def test_declared_tools_have_no_definition_and_the_files_tier() -> None:
    found = declared(parse_connector(NOTES.encode(), "test"), 5)
    assert {one.name: one.tier for one in found} == {
        "create_note": Tier.WRITE,
        "delete_note": Tier.DESTRUCTIVE,
        "search_notes": Tier.READ,
    }
    assert all(one.definition is None and one.first_seen_at == 5 for one in found)


def test_an_excluded_tool_stays_excluded_when_it_changes_or_vanishes() -> None:
    stored = taken((), [tool("any")], FIRST)
    changed = taken(stored, [tool("any", title="B")], LATER)
    assert [one.status for one in changed] == [ToolStatus.EXCLUDED]
    assert [one.status for one in taken(changed, [], LATER)] == [ToolStatus.EXCLUDED]


def test_an_override_survives_every_change() -> None:
    (look,) = taken((), [tool("look")], FIRST)
    overridden = replace(look, override_tier=Tier.WRITE, tier=Tier.WRITE)
    (after,) = taken((overridden,), [tool("look", {"readOnlyHint": True})], LATER)
    assert (after.tier, after.override_tier) == (Tier.WRITE, Tier.WRITE)
