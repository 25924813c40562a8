"""Which tools a member sees (policy spec, section 8)."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.policies import World, make_record, world
from tests.support.random_statements import policies
from wicketd.domain.agents import Trust
from wicketd.domain.catalogue import Target
from wicketd.domain.policies import Effect, Reason
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import engine, listing, slices
from wicketd.policy.engine import Slice
from wicketd.policy.entities import Kind

ALL = frozenset(world().schema.shapes)
PERMIT_ALL = "permit (principal, action, resource);"
DELETE, CODE, SEARCH = (
    ("github", "delete_file"),
    ("github", "search_code"),
    ("github", "search_repositories"),
)
ACME = Target(
    "GitHubMCP::Repository",
    "acme/api",
    {"owner": "acme", "name": "api"},
    (("GitHubMCP::Owner", "acme"),),
)


def listed(*texts: str, where: World | None = None) -> frozenset[tuple[str, str]]:
    here = where or world()
    return listing.lists(here.snapshot(*texts), here.member, here.agent, ALL)


def test_a_tool_without_permit_is_hidden() -> None:
    assert listed() == frozenset()
    assert listed('permit (principal, action == OpsMCP::Action::"status", resource);') == {
        ("ops", "status")
    }


def test_a_tool_that_is_always_forbidden_is_hidden() -> None:
    forbid = 'forbid (principal, action in Wicket::Action::"destructive", resource);'
    assert listed(PERMIT_ALL, forbid) == ALL - {DELETE, ("ops", "deploy.run")}


@pytest.mark.parametrize(
    "scope",
    [
        'resource in Wicket::Service::"github"',
        'resource in Wicket::Service::"github",',
        "resource is GitHubMCP::Repository",
        'resource is GitHubMCP::Repository in Wicket::Service::"github"',
    ],
)
def test_a_mapped_tool_under_a_service_wide_forbid_is_hidden(scope: str) -> None:
    assert DELETE not in listed(PERMIT_ALL, f"forbid (principal, action, {scope});")


def test_another_services_permit_lists_no_mapped_tool() -> None:
    permit = 'permit (principal, action, resource in Wicket::Service::"ops");'
    assert {service for service, _ in listed(permit)} == {"ops"}


def test_another_services_forbid_hides_nothing() -> None:
    assert (
        listed(PERMIT_ALL, 'forbid (principal, action, resource in Wicket::Service::"none");')
        == ALL
    )


@pytest.mark.parametrize(
    "condition",
    [
        "context.session.denials >= 3",
        "context.time.hour < 9",
        '!context.network.ip.isInRange(ip("10.0.0.0/8"))',
        'context.input has path && context.input.path == "x"',
    ],
)
def test_what_only_a_call_can_tell_hides_nothing(condition: str) -> None:
    path = condition.startswith("context.input")
    head = (
        "principal, action, resource"
        if not path
        else 'principal, action == GitHubMCP::Action::"delete_file", resource'
    )
    assert listed(PERMIT_ALL, f"forbid ({head}) when {{ {condition} }};") == ALL


def test_a_permit_on_one_target_lists_its_tool() -> None:
    permit = 'permit (principal, action, resource == GitHubMCP::Repository::"acme/api");'
    assert listed(permit) == {DELETE, CODE}


def test_a_condition_on_the_member_is_decided_now() -> None:
    text = 'permit (principal, action, resource) when { principal.role == "owner" };'
    where = world()
    assert listed(text, where=where) == frozenset()
    owner = replace(where.member, role=type(where.member.role)("owner"))
    assert listed(text, where=replace(where, member=owner)) == ALL


def test_one_members_list_is_not_served_to_another() -> None:
    where = world()
    snapshot = where.snapshot('permit (principal == Wicket::Member::"tester", action, resource);')
    other = replace(where.member, local_name="other")
    assert listing.lists(snapshot, where.member, where.agent, ALL) == ALL
    assert listing.lists(snapshot, other, where.agent, ALL) == frozenset()


def test_a_blocked_tool_is_hidden() -> None:
    where = world()
    snapshot = where.snapshot(PERMIT_ALL).with_blocked(
        {("OpsMCP::Action", "status"): Reason.POLICY_STALE}
    )
    shown = listing.lists(snapshot, where.member, where.agent, ALL)
    assert shown == ALL - {("ops", "status")}


def test_an_unknown_tool_is_hidden() -> None:
    where = world()
    snapshot = where.snapshot(PERMIT_ALL)
    assert not listing.may_list(snapshot, where.member, where.agent, "ops", "never-listed")


def test_an_error_hides() -> None:
    where = world()
    broken = 'forbid (principal, action, resource) when { principal.role == "x" + 1 };'
    assert listed(PERMIT_ALL) == ALL
    snapshot = where.snapshot(PERMIT_ALL, broken.replace('"x" + 1', "9223372036854775807 + 1"))
    assert listing.lists(snapshot, where.member, where.agent, ALL) == frozenset()


def test_an_untrusted_member_without_own_records_sees_nothing() -> None:
    where = world()
    untrusted = replace(where, agent=replace(where.agent, trust=Trust.UNTRUSTED))
    assert listed(PERMIT_ALL, where=untrusted) == frozenset()
    own = make_record(PERMIT_ALL, "own", scope=where.member.id)
    snapshot = untrusted.snapshot(own)
    assert listing.lists(snapshot, where.member, untrusted.agent, ALL) == ALL


def test_prompts_and_resources_are_listed_by_their_own_actions() -> None:
    where = world()
    head = 'principal, action == Wicket::Action::"get_prompt"'
    text = f'permit ({head}, resource in Wicket::Service::"github");'
    snapshot = where.snapshot(text)

    def shown(service: str, kind: Kind) -> bool:
        return listing.may_list(snapshot, where.member, where.agent, service, "x", kind)

    assert shown("github", Kind.PROMPT)
    assert not shown("ops", Kind.PROMPT)
    assert not shown("github", Kind.RESOURCE)


def test_a_long_chain_does_not_hide_a_tool() -> None:
    chain = " || ".join(['principal == Wicket::Member::"tester"'] * 200)
    text = f'permit (principal, action, resource in Wicket::Service::"ops") when {{ {chain} }};'
    assert ("ops", "status") in listed(text)


@pytest.mark.parametrize("name", ["it's", "\u0301x", "a\nb", 'q"', "\u202e"])
def test_a_member_with_an_unusual_name_is_matched(name: str) -> None:
    where = world()
    odd = replace(where, member=replace(where.member, local_name=name))
    text = f"permit (principal == {engine.canonical(('Wicket::Member', name))}, action, resource);"
    assert listed(text, where=odd) == ALL


scopes = st.sampled_from(
    [
        "resource",
        "resource is Wicket::Tool",
        "resource is GitHubMCP::Repository",
        'resource in Wicket::Service::"github"',
        'resource in Wicket::Service::"ops"',
        'resource is Wicket::Tool in Wicket::Service::"github"',
        'resource in GitHubMCP::Owner::"acme"',
        'resource == Wicket::Tool::"ops__status"',
    ]
)
actions = st.sampled_from(
    [
        "action",
        'action in Wicket::Action::"read"',
        'action in Wicket::Action::"destructive"',
        'action in GitHubMCP::Action::"any"',
        'action in [GitHubMCP::Action::"delete_file", GitHubMCP::Action::"search_code"]',
        'action == OpsMCP::Action::"status"',
    ]
)
principals = st.sampled_from(
    [
        "principal",
        'principal == Wicket::Member::"tester"',
        'principal in Wicket::Group::"testers"',
        'principal in Wicket::Group::"others"',
    ]
)
conditions = st.sampled_from(
    [
        "",
        "when { context.session.denials >= 3 }",
        'when { resource in GitHubMCP::Owner::"acme" }',
        'unless { principal.role == "owner" }',
        "when { context.unmodelled.isEmpty() }",
        "when { context.session.calls + 9223372036854775807 > 0 }",
    ]
)
statements = st.builds(
    "{} ({}, {}, {}) {};".format,
    st.sampled_from(["permit", "permit", "forbid"]),
    principals,
    actions,
    scopes,
    conditions,
)
sessions = st.builds(
    SessionFacts, st.integers(0, 2), st.integers(0, 4), st.just(()), st.integers(0, 9)
)


@given(texts=st.lists(statements, min_size=1, max_size=5), session=sessions)
@settings(max_examples=100, deadline=None)
def test_whatever_is_hidden_is_denied(texts: list[str], session: SessionFacts) -> None:
    where = world()
    snapshot = where.snapshot(*texts)
    shown = listing.lists(snapshot, where.member, where.agent, ALL)
    for service, tool in ALL - shown:
        targets: list[Target | None] = [None] if (service, tool) != DELETE else []
        if service == "github" and (service, tool) != SEARCH:
            targets.append(ACME)
        for target in targets:
            request = replace(where.request(service, tool, target=target), session=session)
            assert not engine.decide(snapshot, request).allow


@given(texts=st.lists(statements, min_size=1, max_size=6), session=sessions)
@settings(max_examples=100, deadline=None)
def test_a_slice_decides_as_the_whole_set(texts: list[str], session: SessionFacts) -> None:
    """P-ENG 3."""
    where = world()
    snapshot = where.snapshot(*texts)
    everything = tuple(replace(one, actions=None) for one in snapshot.statements)
    whole = replace(snapshot, statements=everything, slices=type(snapshot.slices)(8))
    for service, tool in ALL:
        target = ACME if service == "github" and (service, tool) != SEARCH else None
        request = replace(where.request(service, tool, target=target), session=session)
        by_slice, by_all = engine.decide(snapshot, request), engine.decide(whole, request)
        assert (by_slice.reason, by_slice.determining) == (by_all.reason, by_all.determining)
    assert slices.text_of(everything) == "\n".join(one.text for one in snapshot.statements)


def test_tools_that_read_alike_are_asked_about_once_and_shown_like_each_alone() -> None:
    where, chance = world(), random.Random(4)  # noqa: S311  # which policies are tried
    seen: set[bool] = set()
    for _ in range(60):
        snapshot = where.snapshot(*policies(chance))
        for groups in ((), ("ops",)):
            member = replace(where.member, local_name=chance.choice(["m1", "x"]), groups=groups)
            shown = listing.lists(snapshot, member, where.agent, ALL)
            for at in ALL:
                subject = snapshot.subjects[at]
                chosen = slices.select(snapshot.statements, subject.actions, None, shadow=False)
                known = slices.for_listing(chosen, subject.service, subject.types)
                permits = [one for one in known if one.ref.effect is Effect.PERMIT]
                alone = engine.may_allow(snapshot, member, subject, Slice.of(known))
                assert (at in shown) == (bool(permits) and alone), (at, snapshot.statements)
                seen.add(at in shown)
    assert seen == {True, False}
