"""What a set says about each tool: held against what the engine decides."""

import pytest

from tests.support.policies import make_record, world
from wicketd.domain.catalogue import Target
from wicketd.domain.policies import Mode, Reason
from wicketd.policy import coverage
from wicketd.policy.coverage import Cover

LIVE = [
    ("github", "delete_file"),
    ("github", "search_code"),
    ("github", "search_repositories"),
    ("ops", "db-query"),
    ("ops", "deploy.run"),
    ("ops", "status"),
]
READ = 'permit (principal, action in Wicket::Action::"read", resource);'
ON_GITHUB = 'permit (principal, action, resource in Wicket::Service::"github");'
NAMED = 'permit (principal, action == OpsMCP::Action::"status", resource);'
NO_DELETE = 'forbid (principal, action == GitHubMCP::Action::"delete_file", resource);'
NO_OPS = 'forbid (principal, action, resource in Wicket::Service::"ops");'


def covers(*texts: str) -> dict[str, str]:
    """Cover by tool of the golden catalogue."""
    found = coverage.tools(world().snapshot(*texts), LIVE, by_member=False)
    return {one.tool: one.cover.value for one in found}


def test_a_set_without_a_permit_covers_nothing() -> None:
    assert set(covers(NO_DELETE).values()) == {Cover.UNCOVERED}


def test_groups_names_and_lasting_forbids_are_told_apart() -> None:
    assert covers(READ, ON_GITHUB, NAMED, NO_DELETE) == {
        "delete_file": "always_forbidden",
        "search_code": "group",
        "search_repositories": "group",
        "db-query": "group",
        "deploy.run": "uncovered",
        "status": "named",
    }


@pytest.mark.parametrize(
    "forbid",
    [
        NO_DELETE.replace(";", " when { context.time.hour < 9 };"),
        NO_DELETE.replace(";", " unless { context.session.calls < 1 };"),
        NO_DELETE.replace("(principal,", '(principal == Wicket::Member::"tester",'),
        NO_DELETE.replace("resource)", 'resource in GitHubMCP::Owner::"acme")'),
    ],
)
def test_a_forbid_that_may_not_hold_leaves_the_tool_covered(forbid: str) -> None:
    assert covers(ON_GITHUB, forbid)["delete_file"] == "named"


def test_a_service_wide_forbid_forbids_mapped_and_unmapped_tools() -> None:
    found = covers("permit (principal, action, resource);", NO_OPS)
    assert {name for name, cover in found.items() if cover == "always_forbidden"} == {
        "db-query",
        "deploy.run",
        "status",
    }


def test_shadow_and_disabled_records_cover_nothing() -> None:
    shadow = make_record(READ, "shadow", mode=Mode.SHADOW)
    off = make_record(READ, "off", enabled=False)
    found = coverage.tools(world().snapshot(shadow, off), LIVE, by_member=False)
    assert {one.cover for one in found} == {Cover.UNCOVERED}


def test_on_an_untrusted_agent_a_members_own_record_covers() -> None:
    whole, own = make_record(READ, "whole"), make_record(READ, "own", scope="m1")
    snapshot = world().snapshot(whole, own)
    found = coverage.tools(snapshot, LIVE, by_member=True)
    by_tool = {one.tool: one for one in found}
    assert by_tool["status"].policies == ("own",)
    assert by_tool["deploy.run"].cover is Cover.UNCOVERED


def test_what_is_uncovered_or_always_forbidden_is_denied_and_the_rest_is_not() -> None:
    there, texts = world(), (READ, ON_GITHUB, NAMED, NO_DELETE)
    target = Target("GitHubMCP::Repository", "a/b", {"owner": "a", "name": "b"}, ())
    snapshot = there.snapshot(*texts)
    denied = {Cover.UNCOVERED.value, Cover.ALWAYS_FORBIDDEN.value}
    for (service, tool), cover in zip(LIVE, covers(*texts).values(), strict=True):
        mapped = target if tool == "delete_file" else None
        decision = there.decide(snapshot, there.request(service, tool, target=mapped))
        assert decision.allow is (cover not in denied), tool


def test_only_records_that_can_match_something_live_matter() -> None:
    prompts = 'permit (principal, action == Wicket::Action::"get_prompt", resource);'
    wrong = 'permit (principal, action == OpsMCP::Action::"status", resource is Wicket::Prompt);'
    names = ("read", "prompts", "delete", "wrong")
    texts = (READ, prompts, NO_DELETE, wrong)
    records = [make_record(text, name) for text, name in zip(texts, names, strict=True)]
    snapshot = world().snapshot(*records)
    assert coverage.unmatchable(snapshot, LIVE) == {"wrong"}
    assert coverage.unmatchable(snapshot, LIVE[1:]) == {"wrong", "delete"}


def test_a_tool_whose_calls_wait_is_marked() -> None:
    snapshot = world().snapshot(READ)
    action = snapshot.subjects["ops", "status"].action
    stale = snapshot.with_blocked({action: Reason.POLICY_STALE})
    found = coverage.tools(stale, LIVE, by_member=False)
    assert [one.tool for one in found if one.is_stale] == ["status"]


def test_a_tool_that_the_schema_lacks_is_left_out() -> None:
    found = coverage.tools(world().snapshot(READ), [*LIVE, ("ops", "any")], by_member=False)
    assert len(found) == len(LIVE)


def test_a_record_is_found_whatever_its_other_statements_say() -> None:
    both = make_record(f"{NO_DELETE}\n{READ}", "both")
    found = coverage.unmatchable(world().snapshot(both), LIVE[1:])
    assert found == frozenset()
