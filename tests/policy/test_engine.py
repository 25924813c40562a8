"""Deciding calls: the fail-closed table row by row (policy spec, 3.4), with the real engine."""

from dataclasses import replace

import pytest

from tests.support.policies import World, make_record, world
from wicketd.domain.agents import Trust
from wicketd.domain.catalogue import Target
from wicketd.domain.errors import PolicyInvalid
from wicketd.domain.ids import PolicyRevision
from wicketd.domain.policies import Effect, Mode, PolicyVersion, Reason
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import engine, lexer
from wicketd.policy.decisions import PolicyRequest
from wicketd.policy.encode import Encoded
from wicketd.policy.entities import Kind
from wicketd.policy.lru import Lru

PERMIT_ALL = "permit (principal, action, resource);"
OVERFLOW = (
    "forbid (principal, action, resource) when "
    "{ context.session.calls + 9223372036854775807 > 9223372036854775806 };"
)
ACME = Target(
    "GitHubMCP::Repository",
    "acme/api",
    {"owner": "acme", "name": "api"},
    (("GitHubMCP::Owner", "acme"),),
)


def reason(world: World, *texts: str, service: str = "ops", tool: str = "status") -> Reason:
    return engine.decide(world.snapshot(*texts), world.request(service, tool)).reason


def test_a_permit_allows() -> None:
    decision = engine.decide(world().snapshot(PERMIT_ALL), world().request("ops", "status"))
    assert decision.allow
    assert decision.reason is Reason.PERMITTED
    assert decision.request is not None
    assert decision.request.action == 'OpsMCP::Action::"status"'
    assert decision.request.resource == 'Wicket::Tool::"ops__status"'
    assert set(decision.request.context) == {"time", "session", "network"}


def test_without_a_permit_nothing_is_allowed() -> None:
    assert reason(world()) is Reason.NO_PERMIT


def test_a_forbid_wins_over_a_permit_and_names_itself() -> None:
    forbid = '@deny_message("No.") forbid (principal, action, resource);'
    decision = engine.decide(
        world().snapshot(PERMIT_ALL, f"{PERMIT_ALL} {forbid}"), world().request("ops", "status")
    )
    assert (decision.allow, decision.reason) == (False, Reason.FORBIDDEN)
    assert [(hit.key, hit.statement, hit.effect) for hit in decision.determining] == [
        ("policy-1", 2, Effect.FORBID)
    ]
    assert decision.deny_messages == ("No.",)


def test_deny_messages_follow_the_order_of_the_determining_statements() -> None:
    texts = [f'@deny_message("{n}") forbid (principal, action, resource);' for n in range(3)]
    decision = engine.decide(world().snapshot(*texts), world().request("ops", "status"))
    assert decision.deny_messages == ("0", "1", "2")


@pytest.mark.requirement("E14")
def test_a_tier_forbid_catches_the_tools_of_its_tier() -> None:
    forbid = 'forbid (principal, action in Wicket::Action::"destructive", resource);'
    assert reason(world(), PERMIT_ALL, forbid, tool="deploy.run") is Reason.FORBIDDEN
    assert reason(world(), PERMIT_ALL, forbid, tool="status") is Reason.PERMITTED


@pytest.mark.parametrize(
    "head",
    [
        'principal, action in GitHubMCP::Action::"any", resource',
        'principal, action in Wicket::Action::"call_tool", resource',
        'principal, action, resource in Wicket::Service::"github"',
        'principal, action, resource in GitHubMCP::Owner::"acme"',
        'principal, action, resource == GitHubMCP::Repository::"acme/api"',
        'principal in Wicket::Group::"testers", action, resource',
        'principal in Wicket::Agent::"self-test", action, resource',
        'principal == Wicket::Member::"tester", action, resource',
    ],
)
def test_every_parent_of_a_mapped_call_can_be_named(head: str) -> None:
    snapshot = world().snapshot(PERMIT_ALL, f"forbid ({head});")
    request = world().request("github", "delete_file", target=ACME)
    assert engine.decide(snapshot, request).reason is Reason.FORBIDDEN


def test_an_engine_error_denies_even_beside_an_allow() -> None:
    decision = engine.decide(
        world().snapshot(PERMIT_ALL, OVERFLOW), replace_calls(world(), calls=1)
    )
    assert (decision.allow, decision.reason) == (False, Reason.ENGINE_ERROR)
    assert decision.errors


def replace_calls(where: World, calls: int) -> PolicyRequest:
    return replace(where.request("ops", "status"), session=SessionFacts(calls, 0, (), 0))


@pytest.mark.requirement("E14")
@pytest.mark.parametrize("value", [1.5, "undeclared"])
def test_no_decision_denies(value: float | str) -> None:
    """The second is refused by nothing but the schema."""
    request = replace(world().request("ops", "status"), input=Encoded({"x": value}, ()))
    decision = engine.decide(world().snapshot(PERMIT_ALL), request)
    assert (decision.allow, decision.reason) == (False, Reason.ENGINE_ERROR)


def test_an_exception_denies() -> None:
    request = replace(world().request("ops", "status"), at_ms=10**18)
    decision = engine.decide(world().snapshot(PERMIT_ALL), request)
    assert (decision.allow, decision.reason) == (False, Reason.ENGINE_ERROR)


def test_an_unknown_time_zone_denies() -> None:
    request = world().request("ops", "status")
    moved = replace(request, agent=replace(request.agent, tz="Mars/Olympus"))
    assert engine.decide(world().snapshot(PERMIT_ALL), moved).reason is Reason.ENGINE_ERROR


def unbuilt() -> engine.Slice:
    raise AssertionError


def test_a_statement_that_nobody_knows_denies() -> None:
    snapshot, request = world().snapshot(PERMIT_ALL), world().request("ops", "status")
    assert engine.decide(snapshot, request).allow
    key = (("OpsMCP::Action", "status"), None, False)
    built = snapshot.slices.get(key, unbuilt)
    forgetful: Lru[object, engine.Slice] = Lru(8)
    forgetful.get(key, lambda: engine.Slice(built.policies, {}))
    decision = engine.decide(replace(snapshot, slices=forgetful), request)
    assert (decision.allow, decision.reason) == (False, Reason.ENGINE_ERROR)


@pytest.mark.parametrize(("spent_ns", "expected"), [(50_000_000, True), (50_000_001, False)])
def test_an_evaluation_over_50_ms_of_cpu_denies_whatever_it_said(
    spent_ns: int, expected: bool
) -> None:
    readings = iter([0, spent_ns])
    snapshot = replace(world().snapshot(PERMIT_ALL), cpu_ns=lambda: next(readings))
    decision = engine.decide(snapshot, world().request("ops", "status"))
    assert decision.allow is expected
    assert decision.reason is (Reason.PERMITTED if expected else Reason.ENGINE_LATE)


@pytest.mark.parametrize(
    "blocked", [Reason.POLICY_STALE, Reason.TOOL_HELD, Reason.CATALOGUE_REJECTED]
)
def test_a_blocked_action_denies_with_its_reason(blocked: Reason) -> None:
    snapshot = world().snapshot(PERMIT_ALL).with_blocked({("OpsMCP::Action", "status"): blocked})
    assert engine.decide(snapshot, world().request("ops", "status")).reason is blocked
    assert engine.decide(snapshot, world().request("ops", "db-query")).allow


def test_a_tool_outside_the_schema_denies() -> None:
    request = replace(world().request("ops", "status"), name="never-listed")
    decision = engine.decide(world().snapshot(PERMIT_ALL), request)
    assert decision.reason is Reason.CATALOGUE_REJECTED


def test_no_known_address_denies() -> None:
    request = world().request("ops", "status", ip=None)
    assert engine.decide(world().snapshot(PERMIT_ALL), request).reason is Reason.NO_CONTEXT


def test_an_address_range_denies() -> None:
    request = world().request("ops", "status", ip="10.0.0.0/8")
    assert not engine.decide(world().snapshot(PERMIT_ALL), request).allow


@pytest.mark.requirement("E13")
def test_a_context_over_a_mebibyte_denies() -> None:
    request = world().request("ops", "db-query", {"sql": "x" * 1024 * 1024})
    assert engine.decide(world().snapshot(PERMIT_ALL), request).reason is Reason.ARGS_TOO_LARGE


class TestUntrusted:
    """An untrusted agent: permits come from the member's own records alone."""

    def world(self) -> World:
        base = world()
        return replace(base, agent=replace(base.agent, trust=Trust.UNTRUSTED))

    def own(self, text: str = PERMIT_ALL, mode: Mode = Mode.ENFORCE) -> PolicyVersion:
        return make_record(text, "own", mode, scope=world().member.id)

    def test_nothing_is_evaluated_without_a_record_of_the_member(self) -> None:
        assert reason(self.world(), PERMIT_ALL) is Reason.NO_MEMBER_POLICY

    def test_a_record_of_another_member_does_not_count(self) -> None:
        other = make_record(PERMIT_ALL, "other", scope="somebody-else")
        decision = engine.decide(
            self.world().snapshot(other), self.world().request("ops", "status")
        )
        assert decision.reason is Reason.NO_MEMBER_POLICY

    def test_a_shadow_record_of_the_member_does_not_count(self) -> None:
        decision = engine.decide(
            self.world().snapshot(self.own(mode=Mode.SHADOW)), self.world().request("ops", "status")
        )
        assert decision.reason is Reason.NO_MEMBER_POLICY
        assert decision.shadow is not None
        assert decision.shadow.flip == "deny_allow"

    def test_a_record_of_the_member_permits(self) -> None:
        decision = engine.decide(
            self.world().snapshot(self.own()), self.world().request("ops", "status")
        )
        assert decision.reason is Reason.PERMITTED

    def test_an_agent_wide_forbid_counts(self) -> None:
        forbid = make_record("forbid (principal, action, resource);", "all")
        decision = engine.decide(
            self.world().snapshot(self.own(), forbid), self.world().request("ops", "status")
        )
        assert decision.reason is Reason.FORBIDDEN

    def test_an_agent_wide_permit_does_not_count(self) -> None:
        own = self.own("forbid (principal, action, resource) when { context.session.calls > 9 };")
        decision = engine.decide(
            self.world().snapshot(own, make_record(PERMIT_ALL, "all")),
            self.world().request("ops", "status"),
        )
        assert decision.reason is Reason.NO_PERMIT

    def test_a_member_record_is_ignored_on_a_trusted_agent(self) -> None:
        decision = engine.decide(world().snapshot(self.own()), world().request("ops", "status"))
        assert decision.reason is Reason.NO_PERMIT


class TestShadow:
    """Shadow records are evaluated beside the enforced ones and change nothing."""

    def test_a_shadow_forbid_is_reported_and_allows(self) -> None:
        shadow = make_record("forbid (principal, action, resource);", "s", Mode.SHADOW)
        decision = engine.decide(
            world().snapshot(PERMIT_ALL, shadow), world().request("ops", "status")
        )
        assert decision.allow
        assert decision.shadow is not None
        assert (decision.shadow.allow, decision.shadow.flip) == (False, "allow_deny")
        assert [hit.mode for hit in decision.shadow.determining] == [Mode.SHADOW]

    def test_a_shadow_error_stays_in_the_shadow(self) -> None:
        shadow = make_record(OVERFLOW, "s", Mode.SHADOW)
        decision = engine.decide(world().snapshot(PERMIT_ALL, shadow), replace_calls(world(), 1))
        assert decision.allow
        assert decision.errors == ()
        assert decision.shadow is not None
        assert decision.shadow.errors

    def test_no_shadow_pass_without_a_shadow_statement_for_the_action(self) -> None:
        shadow = make_record(
            'forbid (principal, action == OpsMCP::Action::"db-query", resource);', "s", Mode.SHADOW
        )
        decision = engine.decide(
            world().snapshot(PERMIT_ALL, shadow), world().request("ops", "status")
        )
        assert decision.shadow is None


def test_a_disabled_record_decides_nothing() -> None:
    off = make_record(PERMIT_ALL, "off", enabled=False)
    decision = engine.decide(world().snapshot(off), world().request("ops", "status"))
    assert decision.reason is Reason.NO_PERMIT


def test_a_changed_member_is_seen_at_once() -> None:
    snapshot = world().snapshot(
        'permit (principal, action, resource) when { principal.role == "owner" };'
    )
    request = world().request("ops", "status")
    assert not engine.decide(snapshot, request).allow
    owner = replace(request.member, role=type(request.member.role)("owner"))
    assert engine.decide(snapshot, replace(request, member=owner)).allow


def test_an_ipv4_caller_over_ipv6_is_compared_as_ipv4() -> None:
    inside = 'context.network.ip.isInRange(ip("10.0.0.0/8"))'
    text = f"permit (principal, action, resource) when {{ {inside} }};"
    request = world().request("ops", "status", ip="::ffff:10.1.2.3")
    assert engine.decide(world().snapshot(text), request).allow


@pytest.mark.parametrize("kind", [Kind.PROMPT, Kind.RESOURCE])
def test_prompts_and_resources_need_their_own_permit(kind: Kind) -> None:
    action = {Kind.PROMPT: "get_prompt", Kind.RESOURCE: "read_resource"}[kind]
    head = f'principal, action == Wicket::Action::"{action}"'
    permit = f'permit ({head}, resource in Wicket::Service::"github");'
    request = replace(world().request("ops", "status"), service="github", name="a://b", kind=kind)
    assert engine.decide(world().snapshot(permit), request).allow
    tools = 'permit (principal, action in Wicket::Action::"call_tool", resource);'
    assert engine.decide(world().snapshot(tools), request).reason is Reason.NO_PERMIT


def test_a_text_that_the_guard_refuses_never_reaches_the_engine() -> None:
    deep = f"permit (principal, action, resource) when {{ {'(' * 2000}true{')' * 2000} }};"
    with pytest.raises(PolicyInvalid):
        world().snapshot(deep)
    for call in (engine.layout, engine.facts_of, engine.parse_error):
        with pytest.raises(PolicyInvalid):
            call(deep)


def test_a_text_that_does_not_parse_is_refused() -> None:
    with pytest.raises(PolicyInvalid, match="does not parse"):
        world().snapshot("permit (principal, action);")


def test_a_snapshot_names_its_revision_set_and_schema() -> None:
    where = world()
    decision = engine.decide(where.snapshot(PERMIT_ALL), where.request("ops", "status"))
    assert decision.revision == PolicyRevision(7)
    assert decision.schema_sha256 == where.schema.sha256
    assert len(decision.set_sha256) == 32


def test_the_next_snapshot_reuses_the_schema_handle() -> None:
    first = world().snapshot(PERMIT_ALL)
    again = engine.compile_set("self-test", [], first.schema, PolicyRevision(8), previous=first)
    assert again.handle is first.handle


@pytest.mark.parametrize(
    "name", ["plain", "it's", "a\nb", "\u0301", 'q"', "b\\s", "\u202e", "é", "\x00", "日本"]
)
def test_a_canonical_uid_reads_back_as_itself(name: str) -> None:
    text = engine.canonical(("Wicket::Member", name))
    path = lexer.paths(f"permit (principal == {text}, action, resource);")[0]
    assert (path.type, path.id) == ("Wicket::Member", name)
