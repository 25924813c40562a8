"""Calls decided in thought, with the tree of why (policy spec, section 7)."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.policies import REPOSITORY, github, make_record, ops, world
from wicketd.connectors.mapping import CompiledRule
from wicketd.domain.catalogue import Target
from wicketd.domain.policies import Mode, PolicyVersion
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import setups, simulate, vectors
from wicketd.policy.simulate import SEALED, Explained, HypotheticalCall, Shown

PERMIT = 'permit (principal, action in Wicket::Action::"call_tool", resource);'
RUN = 'action == OpsMCP::Action::"deploy.run"'


def call(arguments: dict[str, Any] | None = None, **fields: Any) -> HypotheticalCall:
    """A call of `deploy.run`."""
    values: dict[str, Any] = {
        "member": vectors.MEMBER,
        "service": "ops",
        "name": "deploy.run",
        "arguments": arguments or {},
        "at_ms": vectors.AT_MS,
        "session": SessionFacts(0, 0, (), 0),
        "ip": "10.0.0.1",
    }
    return HypotheticalCall(**(values | fields))


def explained(hypothetical: HypotheticalCall, *records: PolicyVersion | str) -> Explained:
    """What these records make of it."""
    made = [
        make_record(one, f"p{n}") if isinstance(one, str) else one for n, one in enumerate(records)
    ]
    setup = setups.setup(vectors.AGENT, [github(), ops()], [made], {}, strict=False)
    return simulate.explain(setup, setup.compiled(), hypothetical)[0]


def guarded(env: str) -> str:
    """A condition on an optional argument."""
    return f'context.input has env && context.input.env == "{env}"'


def conditions_of(found: Explained, place: int = 0) -> dict[str, str]:
    """Outcome by text of every leaf of a statement, scopes left out."""
    return {
        one.text: one.outcome
        for part in found.statements[place].parts
        if part.kind in {"when", "unless"}
        for one in leaves(part)
    }


def leaves(part: Shown) -> list[Shown]:
    """The parts that hold no other."""
    return [one for child in part.children for one in leaves(child)] if part.children else [part]


def test_each_condition_says_what_came_of_it_and_what_it_read() -> None:
    text = (
        f"forbid (principal, {RUN}, resource) when {{ context.input has budget && "
        'context.input.budget.greaterThan(decimal("10.0")) && principal.role == "owner" };'
    )
    found = explained(call({"budget": 12.5}), text, PERMIT)
    assert (found.judged.allow, found.judged.reason) == (True, "permitted")
    assert conditions_of(found) == {
        "context.input has budget": "true",
        'context.input.budget.greaterThan(decimal("10.0"))': "true",
        'principal.role == "owner"': "false",
    }
    read = [leaf.values for leaf in leaves(found.statements[0].parts[-1])]
    assert read == [
        {"context.input.budget": "12.5000"},
        {"context.input.budget": "12.5000"},
        {"principal.role": "member"},
    ]
    assert [one.outcome for one in found.statements] == ["unsatisfied", "satisfied"]


def test_what_a_guard_keeps_from_being_asked_is_skipped() -> None:
    text = (
        f"forbid (principal, {RUN}, resource) when {{ context.input has env && "
        'context.input.env == "prod" } unless { context.time.hour > 5 };'
    )
    found = explained(call(), text)
    assert conditions_of(found) == {
        "context.input has env": "false",
        'context.input.env == "prod"': "skipped",
        "context.time.hour > 5": "skipped",
    }


def test_a_condition_that_fails_is_an_error_with_its_text() -> None:
    text = f'forbid (principal, {RUN}, resource) when {{ context.input.env == "prod" }};'
    found = explained(call(), PERMIT, text)
    assert found.judged.reason == "engine_error"
    (_, failing) = found.statements
    assert failing.outcome == "error"
    assert "env" in (failing.parts[-1].children[0].error or "")


def test_an_unless_holds_where_its_condition_does_not() -> None:
    text = f"forbid (principal, {RUN}, resource) unless {{ !(context.session.denials >= 3) }};"
    session = SessionFacts(9, 4, (), 1)
    found = explained(call(session=session), text)
    (clause,) = found.statements[0].parts[3:]
    assert (clause.outcome, found.judged.reason) == ("true", "forbidden")
    assert leaves(clause)[0].values == {"context.session.denials": 4}


def test_a_scope_that_does_not_match_is_shown_and_its_conditions_skipped() -> None:
    text = f'forbid (principal == Wicket::Member::"eve", {RUN}, resource) when {{ true }};'
    found = explained(call(), text)
    assert [one.outcome for one in found.statements[0].parts] == [
        "false",
        "true",
        "true",
        "skipped",
    ]


def test_statements_about_other_tools_are_counted_and_those_in_shadow_are_shown() -> None:
    other = 'forbid (principal, action == OpsMCP::Action::"status", resource);'
    shadow = make_record(f"forbid (principal, {RUN}, resource);", "watched", Mode.SHADOW)
    found = explained(call(), PERMIT, other, shadow)
    assert (found.judged.allow, found.elsewhere) == (True, 1)
    assert [(one.key, one.mode) for one in found.statements] == [
        ("p0", Mode.ENFORCE),
        ("watched", Mode.SHADOW),
    ]


def test_arguments_of_an_entry_stay_sealed() -> None:
    text = f"forbid (principal, {RUN}, resource) when {{ {guarded('c4n4ry')} }};"
    found = explained(call({"env": "c4n4ry", "hosts": ["c4n4ry-2"]}, is_sealed=True), text)
    assert found.judged.reason == "forbidden"
    assert found.request is not None
    assert found.request.context["input"] == SEALED
    shown = [one for part in found.statements[0].parts for one in leaves(part)]
    assert "c4n4ry" not in repr([one.values for one in shown])
    assert "c4n4ry-2" not in repr(found)


def test_arguments_that_have_no_representation_are_pointed_at() -> None:
    text = f"forbid (principal, {RUN}, resource) when {{ context.input has budget }};"
    found = explained(call({"budget": "much"}), text)
    assert (found.judged.reason, found.judged.pointer) == ("not_representable", "/budget")
    found = explained(call(unresolved=("/owner", "a text")), text)
    assert (found.judged.reason, found.judged.pointer) == ("target_unresolved", "/owner")


def test_a_mapped_target_is_the_resource_that_is_read() -> None:
    target = CompiledRule.of(REPOSITORY).resolve("GitHubMCP", {"owner": "Acme", "repo": "Site"})
    assert isinstance(target, Target)
    text = (
        'forbid (principal, action == GitHubMCP::Action::"delete_file", resource) '
        'when { resource.owner == "acme" && resource in GitHubMCP::Owner::"acme" };'
    )
    found = explained(call(service="github", name="delete_file", target=target), text)
    assert found.judged.reason == "forbidden"
    assert found.request is not None
    assert found.request.resource == 'GitHubMCP::Repository::"acme/site"'
    values = [one.values for one in leaves(found.statements[0].parts[-1])]
    assert values == [
        {"resource.owner": "acme"},
        {"resource": 'GitHubMCP::Repository::"acme/site"'},
    ]


def test_a_tool_without_a_shape_is_denied_as_its_call_would_be() -> None:
    found = explained(call(name="any"), PERMIT)
    assert (found.judged.reason, found.listed) == ("catalogue_rejected", False)


def test_after_many_parts_the_rest_is_unread_and_the_decision_stands() -> None:
    chain = " || ".join(["context.time.hour == 99"] * 90)
    text = f"permit (principal, {RUN}, resource) when {{ {chain} }};\n" * 25
    found = explained(call(), text + PERMIT)
    assert found.judged.allow
    outcomes = {
        one.outcome for tree in found.statements for part in tree.parts for one in leaves(part)
    }
    assert "unread" in outcomes


LEAVES = st.sampled_from(
    [
        "context.input has env",
        'context.input.env == "prod"',
        "context.time.hour > 5",
        "context.session.denials >= 3",
        'principal.role == "member"',
        "true",
    ]
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("!({})".format, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(condition=CONDITIONS, env=st.sampled_from([None, "prod", "test"]))
def test_the_tree_comes_to_what_the_engine_comes_to(condition: str, env: str | None) -> None:
    text = f"permit (principal, {RUN}, resource) when {{ {condition} }};"
    found = explained(call({"env": env}), text)
    (tree,) = found.statements
    expected = {"true": "satisfied", "false": "unsatisfied", "error": "error"}
    assert tree.outcome == expected[tree.parts[-1].outcome]
    assert found.judged.allow == (tree.outcome == "satisfied")


def test_a_decision_in_thought_is_the_decision_of_the_call() -> None:
    there = world()
    cap = f"forbid (principal, {RUN}, resource) when {{ {guarded('prod')} }};"
    snapshot = there.snapshot(PERMIT, cap)
    for env in ("prod", "test"):
        real = there.decide(snapshot, there.request("ops", "deploy.run", {"env": env}))
        assert explained(call({"env": env}), PERMIT, cap).judged.reason == real.reason.value
