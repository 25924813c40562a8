"""Recipes: the published eight as written, and any form decided like a Python reading of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.policies import World
from tests.support.recipes import AROUND, published
from wicketd.connectors.mapping import CompiledRule, Unresolved
from wicketd.domain.catalogue import Target, Tier
from wicketd.domain.errors import Invalid
from wicketd.domain.json import JsonObject
from wicketd.domain.members import Member
from wicketd.domain.policies import Effect, Reason
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import checker, engine, formatting, lexer, recipes, vectors
from wicketd.policy.checks import Scope
from wicketd.policy.decisions import PolicyRequest
from wicketd.policy.recipe_form import Match, Recipe, TargetName

CASES = Path(__file__).parent / "cases" / "recipes"
BERLIN = ZoneInfo("Europe/Berlin")
WORLD = World(AROUND.schema, agent=replace(vectors.AGENT, tz="Europe/Berlin"))
SCHEMA = engine.parse_schema(AROUND.schema.text)
SCOPE = Scope.of(vectors.AGENT.key, AROUND.schema, may_permit=True)
PERMIT_ALL = "permit (principal, action, resource);"

MEMBERS = ("alice@example.com", "bob@example.com", "tester")
GROUPS = ("ops", "support")
IPS = ("10.0.0.1", "10.255.255.255", "11.0.0.0", "192.0.2.7", "2001:db8::1", "2001:db9::")
NETWORKS = ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "2001:db8::1/128", "0.0.0.0/0")
REPOSITORIES = ("acme/api", "acme/site", "acme-labs/x")
YEAR_2026_MS = 1_767_225_600_000
CHANNELS = ("C0123ABCD", "C0456EFGH")


def written(recipe: Recipe) -> str:
    """Its text."""
    return recipes.compile(recipe, AROUND).text


@pytest.mark.parametrize("name", list(published()))
def test_the_published_recipes_read_as_published(name: str) -> None:
    text = formatting.format_text(written(published()[name]))

    assert text == (CASES / f"{name}.cedar").read_text()
    assert formatting.format_text(text) == text
    assert checker.check(SCHEMA, text, SCOPE) == []


def test_every_published_recipe_has_its_form() -> None:
    assert {path.stem for path in CASES.glob("*.cedar")} == published().keys()


def test_a_window_of_dates_says_in_which_zone_it_was_written() -> None:
    found = recipes.compile(published()["contractor-december"], AROUND)
    assert found.warnings == (
        "The dates are written for Europe/Berlin. Write the recipe anew when the zone changes.",
    )


def test_calls_without_a_target_are_named_where_targets_are_asked_for() -> None:
    recipe = Recipe(
        name="x",
        effect=Effect.FORBID,
        service="github",
        tiers=(Tier.READ,),
        targets=(TargetName("Owner", "acme"),),
        match=Match.OUTSIDE,
    )
    (said,) = recipes.compile(recipe, AROUND).warnings
    assert said.endswith("one of these targets: search_code, search_repositories.")


@pytest.mark.parametrize(
    ("tz", "day", "literal"),
    [
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-29T00:00:00+0100"),
        ("Europe/Berlin", date(2026, 3, 30), "2026-03-30T00:00:00+0200"),
        ("Africa/Cairo", date(2026, 4, 24), "2026-04-24T00:00:00+0200"),
        ("America/St_Johns", date(2026, 1, 1), "2026-01-01T00:00:00-0330"),
        ("UTC", date(1970, 1, 1), "1970-01-01T00:00:00+0000"),
    ],
)
def test_a_day_begins_with_its_first_instant_in_the_zone(tz: str, day: date, literal: str) -> None:
    recipe = Recipe(name="x", effect=Effect.PERMIT, active_from=day)
    text = recipes.compile(recipe, replace(AROUND, tz=tz)).text
    assert f'context.time.now >= datetime("{literal}")' in text
    assert checker.check(SCHEMA, text, SCOPE) == []


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (TargetName("Repository", "ACME/Site"), "acme/site"),
        (TargetName("Owner", "ACME"), "acme"),
        (TargetName("Repository", "acme"), None),
        (TargetName("Repository", "a/b/c"), None),
        (TargetName("Repository", 'a/b" || true'), None),
        (TargetName("Owner", ""), None),
    ],
)
def test_a_target_has_an_id_that_calls_can_have(target: TargetName, said: str | None) -> None:
    recipe = Recipe(name="x", effect=Effect.FORBID, service="github", targets=(target,))
    if said is None:
        with pytest.raises(Invalid, match="No call can have"):
            written(recipe)
    else:
        assert f'GitHubMCP::{target.type}::"{said}"' in written(recipe)


def test_outside_takes_one_restriction_and_no_less() -> None:
    nothing = Recipe(name="x", effect=Effect.FORBID, match=Match.OUTSIDE)
    with pytest.raises(Invalid, match="needs a restriction"):
        written(nothing)
    with pytest.raises(Invalid, match="one restriction"):
        written(replace(nothing, days=(1,), hours_from=9))


def test_no_name_bends_the_text() -> None:
    hostile = 'a"]) when { true }; permit (principal, action, resource); //'
    recipe = Recipe(
        name="x", effect=Effect.FORBID, members=(hostile, "b || c"), days=(1,), deny_message=hostile
    )
    text = written(recipe)

    assert len(lexer.split(text)) == 1
    assert [path.id for path in lexer.paths(text)] == sorted((hostile, "b || c"))
    assert checker.check(SCHEMA, text, SCOPE) == []


def some(strategy: st.SearchStrategy[Any], size: int = 3) -> st.SearchStrategy[Any]:
    """None, or a list that restricts."""
    lists = st.lists(strategy, min_size=1, max_size=size, unique=True).map(tuple)
    return st.none() | lists


DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))
FORMS = st.builds(
    Recipe,
    name=st.just("Any form"),
    effect=st.sampled_from(Effect),
    service=st.none() | st.sampled_from(["github", "slack"]),
    tiers=some(st.sampled_from(Tier)),
    members=some(st.sampled_from(MEMBERS)),
    groups=some(st.sampled_from(GROUPS)),
    days=some(st.integers(0, 6), 6),
    hours_from=st.none() | st.integers(0, 23),
    hours_to=st.none() | st.integers(0, 23),
    active_from=st.none() | DAYS,
    active_to=st.none() | DAYS,
    ips=some(st.sampled_from(NETWORKS)),
    max_denials=st.none() | st.integers(1, 4),
    max_calls=st.none() | st.integers(1, 4),
    match=st.sampled_from(Match),
)


@st.composite
def forms(draw: st.DrawFn) -> Recipe:
    """Any form; few of its fields at a time, so that some requests lie inside."""
    recipe: Recipe = draw(FORMS)
    kept = draw(st.sets(st.sampled_from(sorted(NEUTRAL)), max_size=4))
    recipe = replace(recipe, **dict.fromkeys({*NEUTRAL} - kept))  # type: ignore[arg-type]  # each may be None
    if recipe.service is None or not draw(st.booleans()):
        return recipe
    names = sorted(shape.name for shape in AROUND.shapes(recipe.service))
    ids = {"github": REPOSITORIES, "slack": CHANNELS}[recipe.service]
    kind = {"github": "Repository", "slack": "Channel"}[recipe.service]
    every = [TargetName(kind, one) for one in ids]
    if recipe.service == "github":
        every += [TargetName("Owner", "acme"), TargetName("Owner", "acme-labs")]
    tools = draw(some(st.sampled_from(names)))
    return replace(
        recipe,
        tools=tools,
        tiers=None if tools is not None else recipe.tiers,
        targets=draw(some(st.sampled_from(every))),
    )


NEUTRAL = (
    "tiers",
    "members",
    "groups",
    "days",
    "hours_from",
    "hours_to",
    "active_from",
    "active_to",
    "ips",
    "max_denials",
    "max_calls",
)


def request_of(random: Random) -> PolicyRequest:
    """Any call of these services, its target resolved of its arguments as the daemon does."""
    shape = random.choice(list(AROUND.schema.shapes.values()))
    owner, _, repo = random.choice(REPOSITORIES).partition("/")
    arguments: JsonObject = {}
    if "owner" in shape.input.attributes and (shape.needs_target or random.random() < 0.5):
        arguments = {"owner": owner.upper(), "repo": repo}
    if "channel_id" in shape.input.attributes:
        arguments = {"channel_id": random.choice(CHANNELS)}
    target = None
    if shape.target is not None:
        namespace = AROUND.views[shape.service].namespace
        found = CompiledRule.of(shape.target).resolve(namespace, arguments)
        assert not isinstance(found, Unresolved)
        target = found
    name = random.choice(MEMBERS)
    member = replace(
        vectors.MEMBER,
        email=name if "@" in name else None,
        local_name=None if "@" in name else name,
        groups=tuple(random.sample(GROUPS, random.randint(0, 2))),
    )
    request = WORLD.request(
        shape.service,
        shape.name,
        arguments,
        target,
        at_ms=random.randint(YEAR_2026_MS, YEAR_2026_MS + 366 * 86_400_000),
        ip=random.choice(IPS),
    )
    session = SessionFacts(random.randint(0, 5), random.randint(0, 5), (), 60)
    return replace(request, member=member, session=session)


def holds(recipe: Recipe, request: PolicyRequest) -> bool:
    """Whether the statement of a form applies to a call, read off the form by hand."""
    shape = AROUND.schema.shapes[request.service, request.name]
    about = (
        recipe.service in (None, request.service)
        and (recipe.tools is None or request.name in recipe.tools)
        and (recipe.tiers is None or shape.tier in recipe.tiers)
    )
    tests: list[Callable[[Recipe, PolicyRequest], bool]] = [
        in_days,
        in_hours,
        in_dates,
        in_targets,
        in_networks,
        below_denials,
        below_calls,
    ]
    meant = is_meant(recipe, request.member)
    inside = all(test(recipe, request) for test in tests)
    if recipe.match is Match.INSIDE:
        return about and meant and inside
    return about and (meant and not inside if has_others(recipe) else not meant)


def has_others(recipe: Recipe) -> bool:
    """Whether anything but the members restricts."""
    fields = (
        recipe.days,
        recipe.hours_from,
        recipe.hours_to,
        recipe.active_from,
        recipe.active_to,
        recipe.targets,
        recipe.ips,
    )
    return any(one is not None for one in fields)


def is_meant(recipe: Recipe, member: Member) -> bool:
    if recipe.members is None and recipe.groups is None:
        return True
    named = member.principal in (recipe.members or ())
    return named or not {*member.groups}.isdisjoint(recipe.groups or ())


def in_days(recipe: Recipe, request: PolicyRequest) -> bool:
    day = datetime.fromtimestamp(request.at_ms / 1000, BERLIN).isoweekday() % 7
    return recipe.days is None or day in recipe.days


def in_hours(recipe: Recipe, request: PolicyRequest) -> bool:
    hour = datetime.fromtimestamp(request.at_ms / 1000, BERLIN).hour
    first, last = recipe.hours_from, recipe.hours_to
    if first is not None and last is not None and first > last:
        return hour in {*range(first, 24), *range(last + 1)}
    return hour in range(first or 0, (23 if last is None else last) + 1)


def in_dates(recipe: Recipe, request: PolicyRequest) -> bool:
    today = datetime.fromtimestamp(request.at_ms / 1000, BERLIN).date()
    first, last = recipe.active_from or date.min, recipe.active_to or date.max
    return first <= today <= last


def in_targets(recipe: Recipe, request: PolicyRequest) -> bool:
    if recipe.targets is None:
        return True
    return any(one in above(request.target) for one in recipe.targets)


def above(target: Target | None) -> list[TargetName]:
    if target is None:
        return []
    uids = [(target.type, target.id), *target.parents]
    return [TargetName(kind.rpartition("::")[2], name) for kind, name in uids]


def in_networks(recipe: Recipe, request: PolicyRequest) -> bool:
    address = ip_address(request.ip or "")
    return recipe.ips is None or any(address in ip_network(one) for one in recipe.ips)


def below_denials(recipe: Recipe, request: PolicyRequest) -> bool:
    return within(recipe, recipe.max_denials, request.session.denials)


def below_calls(recipe: Recipe, request: PolicyRequest) -> bool:
    return within(recipe, recipe.max_calls, request.session.calls)


def within(recipe: Recipe, limit: int | None, count: int) -> bool:
    """A permit holds below its limit, a forbid from it on."""
    if limit is None:
        return True
    return count < limit if recipe.effect is Effect.PERMIT else count >= limit


@settings(deadline=None)
@given(forms(), st.integers(0, 1 << 32).map(Random))
def test_any_form_is_refused_or_decides_like_a_reading_of_it(
    recipe: Recipe, random: Random
) -> None:
    try:
        text = formatting.format_text(written(recipe))
    except Invalid:
        return
    assert lexer.guard(text) == []
    assert engine.validate(text, SCHEMA) == []
    others = [PERMIT_ALL] if recipe.effect is Effect.FORBID else []
    snapshot = WORLD.snapshot(text, *others)
    for _ in range(30):
        call = request_of(random)
        found = engine.decide(snapshot, call)
        assert found.reason in {Reason.PERMITTED, Reason.FORBIDDEN, Reason.NO_PERMIT}
        expected = holds(recipe, call) is (recipe.effect is Effect.PERMIT)
        assert found.allow is expected, (text, call)


EDGES = [
    ("business-hours-github-writes", "2026-12-01T09:00:00", True),
    ("business-hours-github-writes", "2026-12-01T08:59:59.999", False),
    ("business-hours-github-writes", "2026-12-01T17:59:59.999", True),
    ("business-hours-github-writes", "2026-12-01T18:00:00", False),
    ("business-hours-github-writes", "2026-12-05T12:00:00", False),
    ("business-hours-github-writes", "2026-03-30T09:00:00", True),
    ("business-hours-github-writes", "2026-03-30T08:59:59", False),
    ("contractor-december", "2026-11-30T23:59:59.999", False),
    ("contractor-december", "2026-12-01T00:00:00", True),
    ("contractor-december", "2026-12-31T23:59:59.999", True),
    ("contractor-december", "2027-01-01T00:00:00", False),
]


@pytest.mark.parametrize(("name", "at", "allowed"), EDGES)
def test_windows_have_both_edges(name: str, at: str, *, allowed: bool) -> None:
    recipe = replace(published()[name], members=None)
    tool = "push_files" if recipe.tiers == (Tier.WRITE,) else "search_repositories"
    target = Target("GitHubMCP::Repository", "a/b", {"owner": "a", "name": "b"}, ())
    instant = datetime.fromisoformat(at).replace(tzinfo=BERLIN)
    at_ms = round(instant.timestamp() * 1000)
    request = WORLD.request(
        "github", tool, target=target if tool == "push_files" else None, at_ms=at_ms
    )
    assert engine.decide(WORLD.snapshot(written(recipe)), request).allow is allowed
