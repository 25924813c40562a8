"""Which changes of a tool make a live policy stale (policy spec, 5.3)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.policies import make_record, make_tool, world
from wicketd.domain.catalogue import ServiceView, Tier, TierSource, Tool
from wicketd.domain.ids import PolicyRevision
from wicketd.domain.json import Json
from wicketd.domain.policies import Mode, PolicyVersion, Problem, Reason
from wicketd.policy import engine
from wicketd.policy.schema import render
from wicketd.services.staleness import (
    Compared,
    Findings,
    Place,
    broken_at,
    by_record,
    enforced,
    stale,
)
from wicketd.services.standing import Compiled

PERMIT = "permit (principal, action, resource);"
ON_PATH = (
    'forbid (principal, action == OpsMCP::Action::"run", resource)'
    ' when { context.input has path && context.input.path == "x" };'
)
TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer"}


def tool(name: str = "run", **properties: Json) -> Tool:
    return replace(make_tool(name, properties=properties), hash="new", acked_hash="old")


def blocked(after: Tool, before: Tool, text: str, mode: Mode = Mode.ENFORCE) -> dict[Any, Reason]:
    """What is denied once `after` is listed in place of `before`."""
    records = [make_record(PERMIT, "all"), make_record(text, "one", mode=mode)]
    old = compiled(before, records)
    written = [
        replace(one, projection=old.projected[one.key].stored(frozenset())) for one in records
    ]
    by_projection = found(compiled(after, written))
    by_review = found(compiled(after, records), {("ops", "run"): before})
    assert by_projection == by_review
    return by_projection.denied(enforced(records))


def compiled(run: Tool, records: list[PolicyVersion]) -> Compiled:
    view = ServiceView("ops", "OpsMCP", (run, tool("other")))
    schema = render([view])
    made = engine.compile_set(world().agent.key, records, schema, PolicyRevision(1))
    return Compiled.of(made, records, {"ops": view})


def found(made: Compiled, reviewed: dict[Place, Tool] | None = None) -> Findings:
    return Findings(stale(compared(made, reviewed)))


def compared(made: Compiled, reviewed: dict[Place, Tool] | None = None) -> Compared:
    return Compared(
        schema=made.engine.schema,
        views=made.views,
        records=made.records,
        statements=by_record(made.engine.statements),
        projected=made.projected,
        reviewed=reviewed or {},
    )


DENIED = {("OpsMCP::Action", "run"): Reason.POLICY_STALE}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (tool(path=TEXT), tool()),
        (tool(path=TEXT), tool(file=TEXT)),
        (tool(path=TEXT), tool(path=NUMBER)),
        (tool(), tool(path=TEXT)),
        (tool(path=TEXT), tool(path={"type": "array", "items": TEXT})),
        (tool(options={"type": "object", "properties": {"path": TEXT}}), tool(options=TEXT)),
    ],
)
def test_a_named_argument_that_is_gone_new_or_of_another_type_denies_the_action(
    before: Tool, after: Tool
) -> None:
    assert blocked(after, before, ON_PATH) == DENIED


@pytest.mark.parametrize(
    "after",
    [tool(path=TEXT), tool(path=TEXT, other=NUMBER), tool(path={"type": "string", "title": "P"})],
)
def test_what_no_statement_of_the_action_names_may_change(after: Tool) -> None:
    assert blocked(after, tool(path=TEXT), ON_PATH) == {}


def test_a_statement_about_another_action_makes_nothing_stale() -> None:
    elsewhere = ON_PATH.replace('"run"', '"other"')
    assert blocked(tool(), tool(path=TEXT), elsewhere) == {}


def test_a_statement_about_what_is_unmodelled_depends_on_everything() -> None:
    strict = "forbid (principal, action, resource) unless { context.unmodelled.isEmpty() };"
    assert blocked(tool(path=TEXT, b=TEXT), tool(path=TEXT), strict) == DENIED


def test_a_shadow_policy_denies_nothing() -> None:
    assert blocked(tool(), tool(path=TEXT), ON_PATH, Mode.SHADOW) == {}


def hinted(**hints: Json) -> Tool:
    return replace(
        tool(path=TEXT), definition={**(tool(path=TEXT).definition or {}), "annotations": hints}
    )


def tiered(tier: Tier, source: TierSource = TierSource.ANNOTATIONS) -> Tool:
    return replace(tool(path=TEXT), tier=tier, tier_source=source)


def test_a_hint_that_a_statement_reads_denies_when_it_flips() -> None:
    reading = "forbid (principal, action, resource is Wicket::Tool) when { resource.readOnly };"
    assert blocked(hinted(readOnlyHint=False), hinted(readOnlyHint=True), reading) == DENIED
    assert blocked(hinted(idempotentHint=True), hinted(), reading) == {}


def test_naming_the_destructive_tier_reads_no_hint() -> None:
    naming = 'forbid (principal, action in [Wicket::Action::"destructive"], resource);'
    assert blocked(hinted(destructiveHint=True), hinted(destructiveHint=False), naming) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('forbid (principal, action in Wicket::Action::"write", resource);', DENIED),
        ('permit (principal, action in Wicket::Action::"destructive", resource);', DENIED),
        ('forbid (principal, action in Wicket::Action::"destructive", resource);', {}),
        ('permit (principal, action in Wicket::Action::"write", resource);', {}),
        (
            'forbid (principal, action, resource) when { resource.tier == "write" };',
            DENIED,
        ),
    ],
)
def test_a_tier_that_rises_denies_where_a_forbid_falls_away_or_a_permit_begins(
    text: str, expected: dict[Any, Reason]
) -> None:
    assert blocked(tiered(Tier.DESTRUCTIVE), tiered(Tier.WRITE), text) == expected


def test_a_broken_statement_touches_its_tools_as_they_were_written_and_what_is_no_tool() -> None:
    naming = 'forbid (principal, action in Wicket::Action::"destructive", resource);'
    everything = "forbid (principal, action, resource);"
    error = Problem("error", "type_mismatch", "No.", "No.", 0, 1, 1, 1, 1)
    touched = {}
    for text in (naming, everything):
        before = compiled(tiered(Tier.DESTRUCTIVE), [make_record(text, "one")])
        kept = before.projected["one"].stored(frozenset())
        record = replace(make_record(text, "one"), projection=kept)
        after = compared(compiled(tiered(Tier.READ), [record]))
        touched[text] = broken_at(after, record, [error])
    assert ("OpsMCP::Action", "run") in touched[naming]
    assert {name for space, name in touched[everything] if space == "Wicket::Action"} == {
        "get_prompt",
        "read_resource",
    }


def test_a_tier_that_an_administrator_set_makes_nothing_stale() -> None:
    text = 'forbid (principal, action in Wicket::Action::"write", resource);'
    after = tiered(Tier.DESTRUCTIVE, TierSource.OVERRIDE)
    assert blocked(after, tiered(Tier.WRITE), text) == {}
