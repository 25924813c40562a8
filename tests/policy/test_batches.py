"""Many requests at once get what each gets alone (policy spec, 7.3 and P-ENG 3).

Removals tried: an answer taken for both sets although their slices differ; a group that mixes two
states of one member; an engine error passed on from the batch; the slice of a member without own
records; blocked actions asked. Each is seen red here.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cedarpy
import pytest

from tests.support.policies import World, make_record, world
from wicketd.domain.agents import Trust
from wicketd.domain.catalogue import Target
from wicketd.domain.ids import MemberId
from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member, Role
from wicketd.domain.policies import Mode, PolicyVersion, Reason
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import decisions, engine
from wicketd.policy.batches import AT_ONCE, Batches
from wicketd.policy.decisions import PolicyRequest
from wicketd.policy.engine import Snapshot
from wicketd.policy.entities import Kind

PERMIT = "permit (principal, action, resource);"
EVEN_MOMENT = """forbid (principal, action, resource)
when { context.time.now == datetime("1970-01-01T00:00:00.002Z") };"""
"""No two moments are alike to it."""
TEXTS = (
    'permit (principal, action in Wicket::Action::"read", resource);',
    'permit (principal in Wicket::Group::"ops", action, resource);',
    (
        'forbid (principal, action in Wicket::Action::"destructive", resource) '
        'unless { principal.role == "owner" };'
    ),
    (
        'forbid (principal, action == OpsMCP::Action::"db-query", resource) when { '
        'context.input has "max-rows" && context.input["max-rows"] * 4611686018427387904 > 9 };'
    ),
    'forbid (principal, action, resource) when { context.session.tools.contains("ops__status") };',
    "forbid (principal, action, resource) when { context.time.hour > 20 };",
    'forbid (principal, action, resource in GitHubMCP::Owner::"acme");',
    (
        'permit (principal, action == GitHubMCP::Action::"search_code", resource) '
        'when { resource is GitHubMCP::Repository && resource.name == "api" };'
    ),
    (
        "forbid (principal, action, resource) unless { "
        'context.network.ip.isInRange(ip("10.0.0.0/8")) };'
    ),
    (
        'forbid (principal, action == OpsMCP::Action::"deploy.run", resource) when { '
        'context.input has budget && context.input.budget.greaterThan(decimal("10.0")) };'
    ),
)


def target(owner: str, name: str, *, is_odd: bool = False) -> Target:
    """A repository; an odd one has other attributes under the same id."""
    attrs = {"owner": owner, "name": "other" if is_odd else name}
    return Target(
        "GitHubMCP::Repository", f"{owner}/{name}", dict(attrs), (("GitHubMCP::Owner", owner),)
    )


def members(chance: random.Random) -> list[Member]:
    """Some members, among them one that changed its groups and role in between."""
    base = world().member
    named = [
        replace(base, id=MemberId(f"m{n}"), local_name=f"m{n}", groups=("ops",) if n % 2 else ())
        for n in range(5)
    ]
    later = replace(named[0], groups=("ops",), role=Role.OWNER)
    return [*named, later, replace(named[1], tags=(chance.choice("ab"),))]


def requests(where: World, chance: random.Random, count: int) -> list[PolicyRequest]:
    """Calls of every tool, by changing members, at changing hours, from anywhere."""
    made = []
    people = members(chance)
    for _ in range(count):
        tool = chance.choice([*sorted(where.schema.shapes), ("ops", "gone")])
        at = tool if tool in where.schema.shapes else ("ops", "status")
        is_mapped = at[1] == "delete_file" or (at[1] == "search_code" and chance.random() < 0.7)
        known: dict[str, JsonObject] = {
            "db-query": {"max-rows": chance.choice([1, 2, 7]), "sql": "x"},
            "deploy.run": {"budget": chance.choice([1.5, 99]), "env": "prod"},
        }
        request = where.request(
            *at,
            known.get(at[1], {}),
            target=target(
                chance.choice(["acme", "b"]),
                chance.choice(["api", "web"]),
                is_odd=chance.random() < 0.1,
            )
            if is_mapped
            else None,
            at_ms=1_800_000_000_000 + chance.randrange(10**8),
            ip=chance.choice(["10.0.0.1", "10.9.9.9", "192.0.2.1", None]),
        )
        facts = SessionFacts(chance.randrange(9), 0, chance.choice([(), ("ops__status",)]), 1)
        made.append(replace(request, name=tool[1], member=chance.choice(people), session=facts))
    return made


def agree(first: Snapshot, second: Snapshot, asked: Sequence[PolicyRequest]) -> set[Reason]:
    """Compares every answer of a batch with that of a single call; gives the reasons seen."""
    found = Batches(first, second, first.names | second.names).decide(asked)
    for request, pair in zip(asked, found, strict=True):
        alone = tuple(
            decisions.verdict_of(engine.decide(snapshot, request)) for snapshot in (first, second)
        )
        assert pair == alone, (request, pair, alone)
    return {one.reason for pair in found for one in pair}


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_decides_like_single_calls(seed: int, pytestconfig: pytest.Config) -> None:
    where, chance = world(), random.Random(seed)  # noqa: S311  # which calls are tried
    seen: set[Reason] = set()
    rounds = 13 if pytestconfig.getoption("--faults-full") else 1
    for _ in range(rounds):
        texts = chance.sample(TEXTS, chance.randrange(3, len(TEXTS)))
        first = where.snapshot(*texts)
        second = where.snapshot(*texts, chance.choice(TEXTS))
        seen |= agree(first, second, requests(where, chance, 200))
    assert {Reason.PERMITTED, Reason.FORBIDDEN} <= seen


def test_every_doubt_of_a_batch_is_that_of_the_single_call() -> None:
    where, chance = world(), random.Random(9)  # noqa: S311  # which calls are tried
    seen = agree(
        where.snapshot(PERMIT, TEXTS[3]),
        where.snapshot(PERMIT).with_blocked(
            {where.schema.shapes["ops", "status"].action: Reason.TOOL_HELD}
        ),
        requests(where, chance, 200),
    )
    expected = {Reason.ENGINE_ERROR, Reason.CATALOGUE_REJECTED, Reason.TOOL_HELD, Reason.NO_CONTEXT}
    assert expected <= seen


def test_a_tool_denied_in_the_set_in_force_is_denied_in_a_batch() -> None:
    where = world()
    held = {where.schema.shapes["ops", "status"].action: Reason.TOOL_HELD}
    in_force = where.snapshot(PERMIT).with_blocked(held)
    asked = [where.request("ops", "status")] * 2
    assert agree(in_force, where.snapshot(PERMIT), asked) == {Reason.TOOL_HELD, Reason.PERMITTED}


def own(text: str, member: str | None, key: str) -> PolicyVersion:
    """A record of one member."""
    scope = None if member is None else MemberId(member)
    return replace(make_record(text, key), scope_member_id=scope)


def test_on_an_untrusted_agent_members_have_their_own_permits() -> None:
    where, chance = world(), random.Random(5)  # noqa: S311  # which calls are tried
    where = replace(where, agent=replace(where.agent, trust=Trust.UNTRUSTED))
    first = where.snapshot(own(PERMIT, "m1", "a"), own(TEXTS[2], None, "b"))
    second = where.snapshot(
        own(PERMIT, "m1", "a"), own(TEXTS[2], None, "b"), own(PERMIT, "m2", "c")
    )
    seen = agree(first, second, requests(where, chance, 200))
    assert {Reason.NO_MEMBER_POLICY, Reason.PERMITTED, Reason.FORBIDDEN} <= seen


def test_more_requests_than_the_engine_takes_at_once_keep_their_order() -> None:
    where = world()
    snapshot = where.snapshot(PERMIT, TEXTS[5])
    asked = [
        where.request("ops", "status", at_ms=1_800_000_000_000 + n * 3_600_000)
        for n in range(2 * AT_ONCE + 3)
    ]
    assert agree(snapshot, snapshot, asked) == {Reason.PERMITTED, Reason.FORBIDDEN}


def test_the_engine_is_never_asked_more_at_once_than_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, sizes = cedarpy.is_authorized_batch, []

    def counted(requests: list[dict[str, object]], *others: Any, **more: Any) -> Any:
        sizes.append(len(requests))
        return whole(requests, *others, **more)

    monkeypatch.setattr(cedarpy, "is_authorized_batch", counted)
    where = world()
    snapshot = where.snapshot(PERMIT, EVEN_MOMENT)
    asked = [where.request("ops", "status", at_ms=moment) for moment in range(2 * AT_ONCE + 3)]
    Batches(snapshot, snapshot, snapshot.names).decide(asked)
    assert sizes == [AT_ONCE, AT_ONCE, 3]


def test_watched_statements_decide_nothing_in_a_batch() -> None:
    where = world()
    watched = replace(make_record(TEXTS[5], "w"), mode=Mode.SHADOW)
    asked = [
        where.request("ops", "status", at_ms=1_800_000_000_000 + n * 3_600_000) for n in (1, 9)
    ]
    first = where.snapshot(PERMIT, watched)
    assert agree(first, first, asked) == {Reason.PERMITTED}


def test_where_the_engine_fails_on_a_batch_each_request_is_asked_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = cedarpy.is_authorized_batch

    def broken(requests: list[dict[str, object]], *others: Any, **more: Any) -> Any:
        if len(requests) > 1:
            message = "no batch today"
            raise RuntimeError(message)
        return whole(requests, *others, **more)

    monkeypatch.setattr(cedarpy, "is_authorized_batch", broken)
    where = world()
    snapshot = where.snapshot(PERMIT, TEXTS[5])
    asked = [where.request("ops", "status", at_ms=hour * 3_600_000) for hour in (1, 2)]
    assert agree(snapshot, snapshot, asked) == {Reason.PERMITTED}


def test_prompts_of_several_services_are_told_apart_although_their_action_is_one() -> None:
    where = world()
    prompts = 'principal, action == Wicket::Action::"get_prompt"'
    in_force = where.snapshot(
        f"permit ({prompts}, resource);",
        f'forbid ({prompts}, resource in Wicket::Service::"ops") when {{ resource.name == "b" }};',
    )
    named = [("github", "a"), ("ops", "a"), ("ops", "b"), ("github", "b")]
    asked = [
        replace(where.request("ops", "status"), service=service, name=name, kind=Kind.PROMPT)
        for service, name in named
    ]
    pairs = Batches(in_force, in_force, in_force.names).decide(asked)
    alone = [engine.decide(in_force, request).reason for request in asked]
    assert alone == [Reason.PERMITTED, Reason.PERMITTED, Reason.FORBIDDEN, Reason.PERMITTED]
    assert [first.reason for first, _ in pairs] == alone
