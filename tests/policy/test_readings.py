"""Requests that read alike are decided alike (policy spec, 7.3 and P-ENG 3).

Random policies over random calls: what is asked once for many equals what each is told alone.
Removals tried, each seen red here: a variable inside an expression that is not followed, `has`
taken for another path, the entities that statements name, groups and parents among them, the
resource's type, the check of what nobody reads, the action.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cedarpy
import pytest

from tests.support.policies import NEW_YEAR_MS, World, world
from tests.support.random_statements import PERMIT, policies
from wicketd.domain.catalogue import Target
from wicketd.domain.ids import MemberId
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.members import Role
from wicketd.domain.policies import Reason
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import decisions, engine, entities, readings
from wicketd.policy.batches import Batches
from wicketd.policy.decisions import PolicyRequest
from wicketd.policy.readings import Reading


def arguments(chance: random.Random, tool: str) -> JsonObject:
    """Arguments of a tool from few values, so that many calls are alike."""
    options: list[JsonObject | None] = [None, {}, {"dry_run": True}, {"if": "x"}]
    hosts: list[list[Json]] = [["a"], ["c"], []]
    known: dict[str, JsonObject] = {
        "db-query": {
            "max-rows": chance.choice([None, 0, 1, 3]),
            "sql": chance.choice([None, "drop it", "look"]),
        },
        "deploy.run": {
            "budget": chance.choice([None, 1.5, 99]),
            "hosts": chance.choice(hosts),
            "options": chance.choice(options),
            "note": chance.choice([None, "x"]),
        },
    }
    return known.get(tool, {})


def requests(where: World, chance: random.Random, count: int) -> Iterator[PolicyRequest]:
    """Calls of every tool by members, at hours, from places that statements may tell apart."""
    for _ in range(count):
        service, tool = chance.choice(sorted(where.schema.shapes))
        owner, name = chance.choice(["acme", "b"]), chance.choice(["api", "web"])
        is_mapped = tool == "delete_file" or (tool == "search_code" and chance.random() < 0.5)
        asked = where.request(
            service,
            tool,
            arguments(chance, tool),
            target=Target(
                "GitHubMCP::Repository",
                f"{owner}/{name}",
                {"owner": owner, "name": name},
                (("GitHubMCP::Owner", owner),),
            )
            if is_mapped
            else None,
            at_ms=NEW_YEAR_MS + chance.choice([9, 15]) * 3_600_000,
            ip=chance.choice(["10.0.0.1", "192.0.2.1"]),
        )
        number = chance.randrange(5)
        member = replace(
            where.member,
            id=MemberId(f"m{number}"),
            local_name=f"m{number}",
            role=chance.choice([Role.OWNER, Role.MEMBER]),
            groups=chance.choice([(), ("ops",), ("else",)]),
            tags=chance.choice([(), ("blue",)]),
        )
        facts = SessionFacts(chance.randrange(3), chance.randrange(2), (), chance.randrange(99))
        yield replace(asked, member=member, session=facts)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many questions each batch held that went into the engine."""
    whole, asked = engine.answers, list[int]()

    def counting(questions: list[dict[str, object]], *others: Any) -> Any:
        asked.append(len(questions))
        return whole(questions, *others)

    monkeypatch.setattr(engine, "answers", counting)
    return asked


def test_what_is_asked_once_for_many_is_what_each_is_told_alone(
    counted: list[int], pytestconfig: pytest.Config
) -> None:
    where, chance = world(), random.Random(3)  # noqa: S311  # which policies are tried
    seen: set[Reason] = set()
    rounds, calls = (100 if pytestconfig.getoption("--faults-full") else 16), 0
    for _ in range(rounds):
        texts = policies(chance)
        first, second = where.snapshot(*texts), where.snapshot(*texts, *policies(chance))
        batches = Batches(first, second, first.names | second.names)
        for _ in range(2):
            asked = [*requests(where, chance, 60)]
            for request, pair in zip(asked, batches.decide(asked), strict=True):
                alone = (engine.decide(first, request), engine.decide(second, request))
                assert pair == tuple(map(decisions.verdict_of, alone)), (texts, request)
                seen |= {one.reason for one in pair}
            calls += len(asked)
    wanted = {Reason.PERMITTED, Reason.FORBIDDEN, Reason.NO_PERMIT, Reason.ENGINE_ERROR}
    assert wanted <= seen
    assert sum(counted) < 2 * calls * 0.9


def test_calls_that_no_statement_tells_apart_are_asked_about_once(counted: list[int]) -> None:
    where = world()
    in_force = where.snapshot(
        PERMIT, 'forbid (principal in Wicket::Group::"ops", action, resource);'
    )
    batches = Batches(in_force, in_force, in_force.names)
    asked = [
        replace(
            where.request("ops", "db-query", {"sql": f"select {n}"}, at_ms=NEW_YEAR_MS + n),
            member=replace(where.member, local_name=f"m{n}", groups=(f"group-{n}",)),
        )
        for n in range(9)
    ]
    for _ in range(2):
        assert {first.reason for first, _ in batches.decide(asked)} == {Reason.PERMITTED}
    assert counted == [1]


@pytest.mark.parametrize(
    "broken",
    [
        {"time": {"now": {"__extn": {"fn": "datetime", "arg": "2026-13-01T00:00:00.000Z"}}}},
        {"time": {"hour": "noon"}},
        {"time": {"hour": 2**63}},
        {"time": {"zone": "UTC"}},
        {"session": {"tools": [1]}},
        {"network": {"ip": {"__extn": {"fn": "ip", "arg": "10.0.0.0/99"}}}},
        {"network": {"ip": {"__extn": {"fn": "decimal", "arg": "1.0"}}}},
    ],
)
def test_a_fact_that_the_schema_refuses_denies_although_no_statement_reads_it(
    broken: dict[str, JsonObject],
) -> None:
    where = world()
    in_force = where.snapshot(PERMIT)
    asked = where.request("ops", "status")
    whole = entities.context(asked.input, asked.at_ms, "UTC", asked.session, "10.0.0.1")
    good = {name: whole[name] for name in ("time", "session", "network")}
    ((facet, wrong),) = broken.items()
    of_facet = good[facet]
    assert isinstance(of_facet, dict)
    bad = good | {facet: of_facet | wrong}
    pairs = Batches(in_force, in_force, in_force.names).decide(
        [replace(asked, recorded=facts) for facts in (good, bad, good)]
    )
    said = [first.reason for first, _ in pairs]
    assert said == [Reason.PERMITTED, Reason.ENGINE_ERROR, Reason.PERMITTED]


@pytest.mark.parametrize(
    ("condition", "paths"),
    [
        ("context.time.hour > 9", {("context", "time", "hour")}),
        ("context.input has a.b", {("context", "input", "a")}),
        ('context["input"]["x y"] == 1', {("context", "input", "x y")}),
        ("context has time && context.time.hour > 9", {("context", "time")}),
        ("context == context", {("context",)}),
        ('{"Var": context}.Var == {"left": {"attr": "x"}}', {("context",)}),
        ('{"==": principal}["=="].role == "x"', {("principal",)}),
        ('{"in": context}["in"].time.hour > 9', {("context",)}),
        ("principal == resource", set()),
        ("principal is Wicket::Member", set()),
        ("[principal].contains(resource)", {("principal",), ("resource",)}),
        ('(if true then principal else resource).role == "x"', {("principal",), ("resource",)}),
        (
            "principal.role == resource.name",
            {("principal", "role"), ("resource", "name")},
        ),
    ],
)
def test_a_condition_reads_these_paths(condition: str, paths: set[tuple[str, ...]]) -> None:
    text = f"permit (principal, action, resource) when {{ {condition} }};"
    found = read(text)
    assert set(found.paths) == paths


def read(text: str) -> Reading:
    """What a text reads."""
    found = readings.of(cedarpy.policies_to_json_str(text))
    assert found is not None
    return found


def test_entities_of_scopes_and_conditions_are_named() -> None:
    head = 'permit (principal in A::"a", action == B::Action::"b", resource)'
    text = f'{head} when {{ resource in [C::"c"] }};'
    assert read(text).uids == {("A", "a"), ("B::Action", "b"), ("C", "c")}


def test_statements_that_nest_too_deep_are_not_followed() -> None:
    assert readings.of("[" * 100_000) is None


def test_two_readings_join_at_what_lies_above() -> None:
    one, other = (
        read(f"{PERMIT[:-1]} when {{ context.time.hour > 1 }};"),
        Reading((("context",),), frozenset()),
    )
    assert one.joined(other).paths == (("context",),)
