"""Entities and context of a call (policy spec, 1.3)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.policies import make_tool, world
from wicketd.domain.catalogue import ServiceView, Target
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import entities
from wicketd.policy.encode import NOTHING
from wicketd.policy.schema import render


def time_of(at_ms: int, tz: str) -> Any:
    found = entities.context(NOTHING, at_ms, tz, SessionFacts(0, 0, (), 0), "10.0.0.1")
    return found["time"]


def test_a_clock_reading_is_shown_in_utc_and_in_the_agents_zone() -> None:
    # 2026-03-29 01:30:00.005 UTC: Berlin has just moved to summer time; a Sunday.
    assert time_of(1_774_747_800_005, "Europe/Berlin") == {
        "now": {"__extn": {"fn": "datetime", "arg": "2026-03-29T01:30:00.005Z"}},
        "hour": 3,
        "minute": 30,
        "weekday": 0,
        "date": "2026-03-29",
    }


def test_the_date_is_the_zones_not_utcs() -> None:
    assert time_of(1_767_225_600_000, "Pacific/Kiritimati")["date"] == "2026-01-01"
    assert time_of(1_767_225_600_000, "America/New_York")["date"] == "2025-12-31"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_addresses_are_normalised(text: str, expected: str) -> None:
    assert entities.address(text) == expected


@pytest.mark.parametrize("text", ["10.0.0.0/8", "", "host", "::1/128"])
def test_what_is_no_single_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not appear to be"):
        entities.address(text)


def test_a_members_entities_are_the_nine_that_a_call_can_reach() -> None:
    where = world()
    subject = entities.tool_subject(where.schema.shapes["ops", "status"])
    found: Any = entities.stable("agent", where.member, subject)
    assert [(one["uid"]["type"], one["uid"]["id"]) for one in found] == [
        ("Wicket::Agent", "agent"),
        ("Wicket::Group", "testers"),
        ("Wicket::Member", "tester"),
        ("Wicket::Service", "ops"),
        ("Wicket::Tool", "ops__status"),
        ("OpsMCP::Action", "any"),
        ("Wicket::Action", "read"),
        ("Wicket::Action", "call_tool"),
        ("OpsMCP::Action", "status"),
    ]


def test_a_local_member_has_an_empty_email() -> None:
    member = world().member
    subject = entities.other_subject(entities.Kind.PROMPT, "ops", "review")
    found: Any = entities.stable("agent", member, subject)
    assert found[2]["attrs"]["email"] == ""
    mailed = replace(member, email="a@example.com", local_name=None)
    assert entities.member_uid(mailed) == ("Wicket::Member", "a@example.com")


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        (None, (False, True, False, True, False)),
        ({"readOnlyHint": True}, (True, True, False, True, True)),
        ({"destructiveHint": False, "openWorldHint": "no"}, (False, False, False, True, True)),
    ],
)
def test_hints_have_the_protocols_defaults(annotations: Any, expected: tuple[bool, ...]) -> None:
    view = ServiceView("x", "XMCP", (make_tool("t", annotations=annotations),))
    attrs = entities.tool_subject(render([view]).shapes["x", "t"]).attrs
    names = ("readOnly", "destructive", "idempotent", "openWorld", "annotated")
    assert tuple(attrs[name] for name in names) == expected


def test_prompts_and_resources_have_front_names_as_ids() -> None:
    prompt = entities.other_subject(entities.Kind.PROMPT, "github", "review")
    resource = entities.other_subject(entities.Kind.RESOURCE, "github", "repo://a/b")
    assert prompt.resource == ("Wicket::Prompt", "github__review")
    assert resource.resource == ("Wicket::Resource", "github+repo://a/b")
    assert (prompt.attrs, resource.attrs) == ({"name": "review"}, {"uri": "repo://a/b"})


def test_a_mapped_target_and_its_parents_lie_in_the_service() -> None:
    target = Target("X::R", "a/b", {"name": "b"}, (("X::O", "a"), ("X::O", "a")))
    found: Any = entities.mapped(target, "x")
    service = {"type": "Wicket::Service", "id": "x"}
    assert [one["uid"]["id"] for one in found] == ["a/b", "a"]
    assert all(service in one["parents"] for one in found)
