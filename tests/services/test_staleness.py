"""Which changes of a tool make a live policy stale (policy spec, 5.3)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.policies import make_record, make_tool, world
from wicketd.domain.catalogue import ServiceView, Tool
from wicketd.domain.ids import PolicyRevision
from wicketd.domain.json import Json
from wicketd.domain.policies import Mode, Reason
from wicketd.policy import engine
from wicketd.policy.schema import render
from wicketd.services.staleness import stale, unreviewed

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
    view = ServiceView("ops", "OpsMCP", (after, tool("other")))
    records = [make_record(PERMIT, "all"), make_record(text, "one", mode=mode)]
    snapshot = engine.compile_set(world().agent.key, records, render([view]), PolicyRevision(1))
    assert before.definition is not None
    return stale(snapshot, unreviewed([view]), {("ops", "run"): before.definition})


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


def test_an_acknowledged_tool_is_not_stale() -> None:
    after = replace(tool(), acked_hash="new")
    assert blocked(after, tool(path=TEXT), ON_PATH) == {}
