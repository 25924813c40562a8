"""P2: no matching permit denies, a forbid beats every permit, whatever goes wrong denies."""

import os
import random
import secrets
from dataclasses import dataclass, replace
from typing import Any, Final

import cedarpy
import pytest

from tests.support.policies import World, make_record, two_services
from wicketd.domain.ids import PolicyRevision
from wicketd.domain.json import JsonObject
from wicketd.domain.policies import Reason
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import engine, vectors

SETS, SETS_FULL, CALLS = 800, 10_000, 7
"""Sets in `make test` and in `make faults`, and the calls that each of them decides."""
EVERYTHING: Final = "permit (principal, action, resource);"
TOOLS: Final = {
    ("ops", "status"): "read",
    ("ops", "deploy.run"): "destructive",
    ("ops", "db-query"): "read",
    ("github", "search_repositories"): "read",
}
NAMESPACES: Final = {"ops": "OpsMCP", "github": "GitHubMCP"}
PRINCIPALS: Final = {
    "principal": True,
    'principal == Wicket::Member::"tester"': True,
    'principal == Wicket::Member::"other"': False,
    'principal in Wicket::Group::"testers"': True,
    'principal in Wicket::Group::"strangers"': False,
    f'principal in Wicket::Agent::"{vectors.AGENT.key}"': True,
    'principal in Wicket::Agent::"elsewhere"': False,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One call and what a condition can see of it."""

    service: str
    tool: str
    calls: int
    denials: int
    sql: str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A random statement: its text, and what it says of a call, by the second oracle."""

    is_permit: bool
    principal: str
    action: tuple[str, ...]
    resource: tuple[str, ...]
    condition: tuple[Any, ...]

    @property
    def text(self) -> str:
        effect = "permit" if self.is_permit else "forbid"
        return f"{effect} ({self.principal}, {self._action()}, {self._resource()}){self._when()};"

    def _action(self) -> str:
        match self.action:
            case ("tool", service, name):
                return f'action == {NAMESPACES[service]}::Action::"{name}"'
            case ("tier", tier):
                return f'action in Wicket::Action::"{tier}"'
            case ("any", service):
                return f'action in {NAMESPACES[service]}::Action::"any"'
        return "action"

    def _resource(self) -> str:
        match self.resource:
            case ("tool", service, name):
                return f'resource == Wicket::Tool::"{service}__{name}"'
            case ("service", service):
                return f'resource in Wicket::Service::"{service}"'
        return "resource"

    def _when(self) -> str:
        match self.condition:
            case ("calls", number):
                return f" when {{ context.session.calls >= {number} }}"
            case ("denials", number):
                return f" unless {{ context.session.denials >= {number} }}"
            case ("sql", value):
                seen = "context.input has sql && context.input.sql"
                return f' when {{ {seen} == "{value}" }}'
            case ("overflow",):
                return " when { context.session.calls * 9223372036854775807 >= 0 }"
        return ""

    def says(self, call: Asked) -> bool | None:
        """Whether it is satisfied; None: evaluating it errs."""
        in_scope = (
            PRINCIPALS[self.principal] and self._has_action(call) and self._has_resource(call)
        )
        if not in_scope:
            return False
        match self.condition:
            case ("calls", number):
                return bool(call.calls >= number)
            case ("denials", number):
                return not call.denials >= number
            case ("sql", value):
                return call.sql is not None and bool(call.sql == value)
            case ("overflow",):
                return None if call.calls >= 2 else True
        return True

    def _has_action(self, call: Asked) -> bool:
        match self.action:
            case ("tool", service, name):
                return (service, name) == (call.service, call.tool)
            case ("tier", tier):
                return tier in ("call_tool", TOOLS[call.service, call.tool])
            case ("any", service):
                return service == call.service
        return True

    def _has_resource(self, call: Asked) -> bool:
        match self.resource:
            case ("tool", service, name):
                return (service, name) == (call.service, call.tool)
            case ("service", service):
                return service == call.service
        return True


def rule(chance: random.Random) -> Rule:
    tool = chance.choice(list(TOOLS))
    service = chance.choice(list(NAMESPACES))
    tier = chance.choice(["read", "write", "destructive", "call_tool"])
    conditions: list[tuple[Any, ...]] = [
        (), (), ("calls", chance.randint(0, 4)), ("denials", chance.randint(0, 4)),
        ("sql", chance.choice("ab")), ("overflow",),
    ]  # fmt: skip
    return Rule(
        is_permit=chance.random() < 0.7,
        principal=chance.choice(list(PRINCIPALS)),
        action=chance.choice([(), ("tool", *tool), ("tier", tier), ("any", service)]),
        resource=chance.choice([(), (), ("tool", *tool), ("service", service)]),
        condition=chance.choice(conditions),
    )


def asked(chance: random.Random) -> Asked:
    service, tool = chance.choice(list(TOOLS))
    sql = chance.choice([None, "a", "b"]) if tool == "db-query" else None
    return Asked(service, tool, chance.randint(0, 4), chance.randint(0, 4), sql)


def expected(rules: list[Rule], call: Asked) -> Reason:
    """The second oracle."""
    verdicts = [(one.is_permit, one.says(call)) for one in rules]
    if any(said is None for _, said in verdicts):
        return Reason.ENGINE_ERROR
    if any(said and not is_permit for is_permit, said in verdicts):
        return Reason.FORBIDDEN
    if any(said and is_permit for is_permit, said in verdicts):
        return Reason.PERMITTED
    return Reason.NO_PERMIT


@pytest.mark.requirement("P2")
def test_random_sets_decide_as_a_second_oracle_says(request: pytest.FixtureRequest) -> None:
    seed = int(os.environ.get("WICKET_SEED") or secrets.randbits(32))
    print(f"WICKET_SEED={seed}")
    chance = random.Random(seed)  # noqa: S311  # chance, not secrecy
    there = World(two_services())
    snapshot = there.snapshot()
    met: set[Reason] = set()
    for _ in range(SETS_FULL if request.config.getoption("--faults-full") else SETS):
        rules = [rule(chance) for _ in range(chance.randint(0, 5))]
        records = [make_record(one.text, f"p{number}") for number, one in enumerate(rules)]
        snapshot = engine.compile_set(
            there.agent.key, records, there.schema, PolicyRevision(1), previous=snapshot
        )
        for call in [asked(chance) for _ in range(CALLS)]:
            now = replace(there, facts=SessionFacts(call.calls, call.denials, (), 0))
            arguments: JsonObject = {} if call.sql is None else {"sql": call.sql}
            decision = now.decide(snapshot, now.request(call.service, call.tool, arguments))
            wanted = expected(rules, call)
            told = [one.text for one in rules]
            assert (decision.reason, decision.allow) == (wanted, wanted is Reason.PERMITTED), told
            met.add(wanted)
    assert met == {
        Reason.PERMITTED, Reason.FORBIDDEN, Reason.NO_PERMIT, Reason.ENGINE_ERROR,
    }  # fmt: skip


class Panic(BaseException):
    """What a panic of the engine looks like from Python."""


@pytest.mark.requirement("P2")
@pytest.mark.parametrize("fault", [RuntimeError("x"), MemoryError(), Panic("x"), ValueError()])
def test_a_fault_of_the_engine_denies(
    monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    there = World(two_services())
    snapshot = there.snapshot(EVERYTHING)
    request = there.request("ops", "status")
    assert there.decide(snapshot, request).allow

    def broken(*_: Any) -> Any:
        raise fault

    monkeypatch.setattr(cedarpy, "is_authorized", broken)
    decision = there.decide(snapshot, request)
    assert (decision.allow, decision.reason) == (False, Reason.ENGINE_ERROR)


@pytest.mark.requirement("P2")
def test_a_decision_that_takes_over_50_ms_of_its_thread_denies() -> None:
    there = World(two_services())
    times = iter([0, 51_000_000, 0, 50_000_000])
    snapshot = replace(there.snapshot(EVERYTHING), cpu_ns=lambda: next(times))
    request = there.request("ops", "status")
    assert there.decide(snapshot, request).reason is Reason.ENGINE_LATE
    assert there.decide(snapshot, request).allow


@pytest.mark.requirement("P2")
def test_a_snapshot_that_lost_its_parts_denies() -> None:
    there = World(two_services())
    snapshot = there.snapshot(EVERYTHING)
    request = there.request("ops", "status")
    foreign = replace(snapshot, handle=engine.parse_schema("entity Nothing;"))
    for broken in (foreign, replace(snapshot, subjects={})):
        assert not engine.decide(broken, request).allow
