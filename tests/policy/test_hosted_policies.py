"""The hosted product's policies validate and decide as published (policy spec, P-ENG 6)."""

from dataclasses import replace

import pytest

from tests.support.policies import REPOSITORY, World, make_tool, strings
from wicketd.domain.catalogue import ServiceView, Target, TargetRule, Tier
from wicketd.domain.policies import Reason
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import engine
from wicketd.policy.checker import check
from wicketd.policy.checks import Scope
from wicketd.policy.schema import render

PLACES = {**strings("owner", "repo", "path")}
GITHUB = ServiceView(
    "github",
    "GitHubMCP",
    (
        make_tool("delete_file", Tier.DESTRUCTIVE, PLACES, ("owner", "repo")),
        make_tool("merge_pull_request", Tier.DESTRUCTIVE, PLACES, ("owner", "repo")),
        make_tool("push_files", Tier.WRITE, PLACES, ("owner", "repo")),
        make_tool("get_file", Tier.READ, PLACES, ("owner", "repo")),
    ),
    (REPOSITORY,),
)
CHANNEL = TargetRule("Channel", ("*",), "{channel_id}", "[A-Z0-9]{1,20}")
SLACK = ServiceView(
    "slack",
    "SlackMCP",
    (
        make_tool("slack_send_message", Tier.WRITE, strings("channel_id"), ("channel_id",)),
        make_tool("slack_reply_to_thread", Tier.WRITE, strings("channel_id"), ("channel_id",)),
        make_tool("slack_search", Tier.READ, strings("query")),
    ),
    (CHANNEL,),
)
WORLD = World(render([GITHUB, SLACK]))
REPO = Target(
    "GitHubMCP::Repository",
    "acme/api",
    {"owner": "acme", "name": "api"},
    (("GitHubMCP::Owner", "acme"),),
)
NINE, EIGHTEEN = 1_767_258_000_000, 1_767_290_400_000
"""2026-01-01, a Thursday, 09:00 and 18:00 UTC."""

TOOLS = '[GitHubMCP::Action::"delete_file", GitHubMCP::Action::"merge_pull_request"]'
LIST = f"action in {TOOLS}, resource"
BLOCK = f"forbid (principal, {LIST});"
HOURS = f"forbid (principal, {LIST}) when {{ context.time.hour < 9 || context.time.hour > 17 }};"
BUSINESS = """@id("business-hours-github-writes")
permit (principal, action in Wicket::Action::"write", resource in Wicket::Service::"github")
when { [1, 2, 3, 4, 5].contains(context.time.weekday) && context.time.hour >= 9
  && context.time.hour <= 17 };"""
CHANNELS = """@id("only-these-channels")
permit (principal, action in [SlackMCP::Action::"slack_reply_to_thread",
  SlackMCP::Action::"slack_send_message"], resource)
when { resource in [SlackMCP::Channel::"C0123ABCD", SlackMCP::Channel::"C0456EFGH"] };"""
BREAKER = """@id("session-circuit-breaker") @deny_message("Too many denied calls in this session.")
forbid (principal, action, resource) when { context.session.denials >= 3 };"""
MEMBERS = """@id("slack-writes-for-two-members")
permit (principal, action in Wicket::Action::"write", resource in Wicket::Service::"slack")
when { principal in [Wicket::Member::"alice@example.com", Wicket::Member::"tester"] };"""
PERMIT_ALL = "permit (principal, action, resource);"


def channel(name: str) -> Target:
    return Target("SlackMCP::Channel", name, {}, ())


def reason(*texts: str, **changes: object) -> Reason:
    """Decides a call; `tool`, `service`, `target` and request fields by name."""
    service, tool = changes.pop("of", ("github", "delete_file"))  # type: ignore[misc]  # a pair
    target = changes.pop("target", REPO)
    request = WORLD.request(service, tool, target=target)  # type: ignore[has-type, arg-type]  # as given
    return engine.decide(WORLD.snapshot(*texts), replace(request, **changes)).reason  # type: ignore[arg-type]  # its fields


@pytest.mark.parametrize("text", [BLOCK, HOURS, BUSINESS, CHANNELS, BREAKER, MEMBERS])
def test_it_validates_as_published(text: str) -> None:
    schema = engine.parse_schema(WORLD.schema.text)
    assert check(schema, text, Scope.of("self-test", WORLD.schema, may_permit=True)) == []


def test_blocked_tools_are_denied_and_others_go_on() -> None:
    assert reason(PERMIT_ALL, BLOCK) is Reason.FORBIDDEN
    assert reason(PERMIT_ALL, BLOCK, of=("github", "push_files")) is Reason.PERMITTED


@pytest.mark.parametrize(
    ("at_ms", "expected"),
    [
        (NINE - 1, Reason.FORBIDDEN),
        (NINE, Reason.PERMITTED),
        (EIGHTEEN - 1, Reason.PERMITTED),
        (EIGHTEEN, Reason.FORBIDDEN),
    ],
)
def test_hours_have_both_edges(at_ms: int, expected: Reason) -> None:
    assert reason(PERMIT_ALL, HOURS, at_ms=at_ms) is expected


@pytest.mark.parametrize(
    ("at_ms", "expected"),
    [
        (NINE, Reason.PERMITTED),
        (EIGHTEEN, Reason.NO_PERMIT),
        (NINE + 2 * 86_400_000, Reason.NO_PERMIT),
    ],
)
def test_business_hours_permit_writes_on_weekdays(at_ms: int, expected: Reason) -> None:
    assert reason(BUSINESS, of=("github", "push_files"), at_ms=at_ms) is expected


@pytest.mark.parametrize(
    ("name", "expected"), [("C0123ABCD", Reason.PERMITTED), ("C0999ZZZZ", Reason.NO_PERMIT)]
)
def test_only_the_listed_channels_are_permitted(name: str, expected: Reason) -> None:
    assert reason(CHANNELS, of=("slack", "slack_send_message"), target=channel(name)) is expected


@pytest.mark.parametrize(("denials", "expected"), [(2, Reason.PERMITTED), (3, Reason.FORBIDDEN)])
def test_the_breaker_opens_at_three_denials(denials: int, expected: Reason) -> None:
    assert reason(PERMIT_ALL, BREAKER, session=SessionFacts(9, denials, (), 60)) is expected


def test_only_the_named_members_write() -> None:
    write = ("slack", "slack_send_message")
    assert reason(MEMBERS, of=write, target=channel("C1")) is Reason.PERMITTED
    other = replace(WORLD.member, local_name="other")
    assert reason(MEMBERS, of=write, target=channel("C1"), member=other) is Reason.NO_PERMIT
