"""What statements come to on the live actions: nothing, a certain denial, too deep (spec, 5.1)."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from tests.support.policies import github, make_tool, ops, two_services, world
from wicketd.domain.catalogue import ToolStatus
from wicketd.domain.policies import Problem, Reason
from wicketd.policy import engine, examiner
from wicketd.policy.checker import check
from wicketd.policy.checks import Scope
from wicketd.policy.examiner import Examiner
from wicketd.policy.names import tree
from wicketd.policy.schema import render
from wicketd.services import views

T = TypeVar("T")
SCHEMA = two_services()
HANDLE = engine.parse_schema(SCHEMA.text)
SCOPE = replace(
    Scope.of("agent", SCHEMA, may_permit=True, names=tree(SCHEMA, [github(), ops()])),
    live=views.live(SCHEMA, [github(), ops()]),
)
HEAD = "principal, action, resource"
STATUS = 'principal, action == OpsMCP::Action::"status", resource'
GATED = f"permit ({STATUS}) when {{ context.time.hour > 3 }};"
READS = 'forbid (principal, action in Wicket::Action::"read", resource);'
ANN, BOB = 'principal == Wicket::Member::"ann"', 'principal == Wicket::Member::"bob"'
RUN = 'principal, action == OpsMCP::Action::"deploy.run"'
IN_OPS = 'resource in Wicket::Service::"ops"'


def found(text: str, *forbids: str) -> list[tuple[str, int | None]]:
    """Codes and statements of what a check finds, without those on people and everything."""
    problems = check(HANDLE, text, replace(SCOPE, forbids=forbids))
    return [(one.code, one.statement) for one in problems if not one.code.endswith("_all")]


@pytest.mark.parametrize(
    "text",
    [
        f"permit ({HEAD}) when {{ false }};",
        f"forbid ({STATUS}) when {{ 1 + 1 == 3 }};",
        f'permit ({RUN}, resource in Wicket::Service::"github");',
        f'permit ({STATUS}) when {{ action in Wicket::Action::"destructive" }};',
    ],
)
def test_a_statement_that_no_call_can_match_is_warned_about(text: str) -> None:
    assert found(text) == [("unmatchable", 1)]


@pytest.mark.parametrize(
    "text",
    [
        GATED,
        READS,
        'permit (principal, action == Wicket::Action::"get_prompt", resource);',
        f'forbid (principal, action == Wicket::Action::"read_resource", {IN_OPS});',
        "permit (principal, action, resource is GitHubMCP::Repository);",
    ],
)
def test_a_statement_that_some_call_can_match_is_not(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "forbid",
    [
        f"forbid ({HEAD});",
        READS,
        f"forbid (principal, action, {IN_OPS});",
        f'forbid ({HEAD}) unless {{ action in Wicket::Action::"write" }};',
        f"forbid ({STATUS}) when {{ true }};",
    ],
)
def test_a_permit_that_a_forbid_always_beats_is_warned_about(forbid: str) -> None:
    assert found(f"{GATED} {forbid}") == [("always_forbidden", 1)]
    assert found(GATED, forbid) == [("always_forbidden", 1)]


@pytest.mark.parametrize(
    "forbid",
    [
        f"forbid ({HEAD}) when {{ context.session.denials > 3 }};",
        f'forbid ({HEAD}) unless {{ principal.tags.contains("on-call") }};',
        f"forbid ({ANN}, action, resource);",
        'forbid (principal, action in Wicket::Action::"destructive", resource);',
        'forbid (principal, action, resource in Wicket::Service::"github");',
        'forbid (principal, action, resource == Wicket::Tool::"ops__status");',
        f"forbid ({HEAD}) when {{ false }};",
        f"permit ({HEAD});",
    ],
)
def test_a_permit_that_some_call_can_use_is_not(forbid: str) -> None:
    assert ("always_forbidden", 1) not in found(f"{GATED} {forbid}")
    assert found(GATED, forbid) == []


def test_forbids_of_one_member_beat_permits_of_that_member_only() -> None:
    forbid = f"forbid ({ANN}, action, {IN_OPS});"
    status = 'action == OpsMCP::Action::"status", resource'
    assert found(f"permit ({ANN}, {status});", forbid) == [("always_forbidden", 1)]
    assert found(f"permit ({BOB}, {status});", forbid) == []


def test_several_forbids_beat_a_permit_together_and_are_named() -> None:
    both = f'permit ({HEAD}) when {{ context.time.hour > 3 && action in OpsMCP::Action::"any" }};'
    destructive = 'forbid (principal, action in Wicket::Action::"destructive", resource);'
    named = f'@id("no-reads") {READS}'
    assert found(both, named) == []
    (warning,) = check(HANDLE, f"{both} {destructive}", replace(SCOPE, forbids=(named,)))
    assert warning.severity == "warning"
    assert "the forbid 'no-reads'" in warning.message
    assert "statement 2" in warning.message


def test_a_statement_about_a_tool_that_is_gone_is_warned_about_once() -> None:
    gone = replace(
        ops(),
        tools=(make_tool("old", status=ToolStatus.GONE), make_tool("status")),
        gone_but_named=("old",),
    )
    schema = render([gone])
    scope = Scope.of("agent", schema, may_permit=True, names=tree(schema, [gone]))
    scope = replace(scope, live=views.live(schema, [gone]))
    text = 'forbid (principal, action == OpsMCP::Action::"old", resource);'
    problems = check(engine.parse_schema(schema.text), text, scope)
    assert [one.code for one in problems] == ["gone_tool"]
    assert not any(one.action[1] == "old" for one in scope.live)


def test_a_broken_statement_is_not_tried_and_nothing_is_without_live_actions() -> None:
    assert found(f"permit ({HEAD}) when {{ principal.rank == 1 && false }};") == [
        ("unknown_attribute", 1)
    ]
    assert check(HANDLE, f"permit ({STATUS}) when {{ false }};", replace(SCOPE, live=())) == []


def on_stack(size: int, text: str) -> list[Problem]:
    """A check on a thread with a stack of its own size."""
    return ran(size, lambda: check(HANDLE, text, SCOPE))


def ran(size: int, work: Callable[[], T]) -> T:
    """What work gives on a thread with a stack of its own size."""
    given: list[T] = []
    before = threading.stack_size(size)
    thread = threading.Thread(target=lambda: given.append(work()))
    thread.start()
    threading.stack_size(before)
    thread.join()
    return given[0]


def too_deep_for(head: str) -> str:
    """A condition that 16 MiB of stack hold and 1 MiB does not."""
    long = " + context.time.hour" * 300
    return f"permit ({head}) when {{ 1{long} == 0 }};"


def test_a_statement_that_the_engine_cannot_evaluate_to_the_end_is_refused() -> None:
    text = too_deep_for("principal, action, resource is GitHubMCP::Repository")
    assert on_stack(16 << 20, text) == []
    (problem,) = on_stack(1 << 20, text)
    assert (problem.code, problem.severity, problem.statement) == ("too_deep", "error", 1)
    behind = text.replace("1 +", 'resource.owner == "a" || 1 +').replace(" == 0", " == 1")
    assert [one.code for one in on_stack(1 << 20, behind)] == ["too_deep"]


def test_a_check_that_runs_out_of_time_says_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"permit ({STATUS}) when {{ false }}; permit (principal);"
    at_leisure = Examiner().check(SCHEMA.text, text, SCOPE)
    assert [one.code for one in at_leisure] == ["syntax", "unmatchable"]
    monkeypatch.setattr(examiner, "TRIALS_CPU_NS", -1)
    assert [one.code for one in Examiner().check(SCHEMA.text, text, SCOPE)] == ["syntax"]


def test_what_no_check_had_the_time_to_try_denies_at_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = f"permit ({HEAD}); {too_deep_for(STATUS)}"

    def codes() -> list[str]:
        found = Examiner().check(SCHEMA.text, text, SCOPE)
        return [one.code for one in found if not one.code.endswith("_all")]

    assert ran(1 << 20, codes) == ["too_deep"]
    monkeypatch.setattr(examiner, "TRIALS_CPU_NS", -1)
    assert ran(1 << 20, codes) == []
    where = world()
    in_force, status = where.snapshot(text), where.request("ops", "status")
    assert engine.decide(in_force, status).allow
    denied = ran(1 << 20, lambda: engine.decide(where.snapshot(text), status))
    assert (denied.allow, denied.reason) == (False, Reason.ENGINE_ERROR)


def test_what_is_remembered_belongs_to_a_schema_and_its_actions() -> None:
    memory, text = Examiner(), f"permit ({STATUS}) when {{ context.time.hour > 3 }};"
    elsewhere = [one for one in SCOPE.live if one.service == "github"]
    for _ in range(2):
        assert memory.check(SCHEMA.text, text, SCOPE) == []
        (warning,) = memory.check(SCHEMA.text, text, replace(SCOPE, live=tuple(elsewhere)))
        assert warning.code == "unmatchable"
