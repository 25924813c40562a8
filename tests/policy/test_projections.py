"""What a version keeps of the tools it was written for (policy spec, 5.3)."""

from dataclasses import replace

import msgspec
import pytest

from tests.support.policies import github, make_record, make_tool, ops, strings, world
from wicketd.domain.catalogue import ServiceView
from wicketd.domain.ids import PolicyRevision
from wicketd.domain.json import JsonObject
from wicketd.policy import engine, projections
from wicketd.policy.projections import Projected, Projector
from wicketd.policy.schema import render
from wicketd.policy.slices import Statement

DELETE = ("GitHubMCP::Action", "delete_file")


def statements(text: str, *views: ServiceView) -> tuple[Statement, ...]:
    """The statements of one record over these services."""
    schema = render(views)
    made = engine.compile_set(world().agent.key, [make_record(text)], schema, PolicyRevision(1))
    return made.statements


def projected(text: str, *views: ServiceView) -> Projected:
    """One record over these services."""
    return Projector(render(views)).record(statements(text, *views))


def test_a_statement_keeps_the_types_of_the_paths_that_it_names_and_the_mapping() -> None:
    text = (
        'forbid (principal, action == GitHubMCP::Action::"delete_file", resource)'
        ' when { context.input has path && context.input.path == "x" };'
    )
    (facets,) = projected(text, github()).statements
    assert facets.keys() == {DELETE}
    assert facets[DELETE].value["paths"] == {"/path": "String"}
    assert facets[DELETE].value["types"] == ["GitHubMCP::Repository"]
    mapping = facets[DELETE].value["mapping"]
    assert isinstance(mapping, dict)
    assert mapping["arguments"] == {"owner": "String", "repo": "String"}
    assert "tier" not in facets[DELETE].value


def test_nested_paths_keep_their_full_type() -> None:
    text = (
        'permit (principal, action == OpsMCP::Action::"deploy.run", resource)'
        ' when { context.input has options && context.input.options has "if" };'
    )
    (facets,) = projected(text, ops()).statements
    assert facets["OpsMCP::Action", "deploy.run"].value["paths"] == {
        "/options": '{ "dry_run"?: Bool, "if"?: String }',
        "/options/if": "String",
    }


def test_naming_what_is_unmodelled_keeps_the_whole_input() -> None:
    text = "forbid (principal, action, resource) unless { context.unmodelled.isEmpty() };"
    (facets,) = projected(text, ops()).statements
    paths = facets["OpsMCP::Action", "db-query"].value["paths"]
    assert paths == {"/max-rows": "Long", "/sql": "String"}


def test_a_statement_about_a_tier_keeps_every_tool_with_its_tier() -> None:
    text = (
        'permit (principal, action in Wicket::Action::"read", resource in Wicket::Service::"ops");'
    )
    (facets,) = projected(text, ops(), github()).statements
    assert {name: facet.value["tier"] for (_, name), facet in facets.items()} == {
        "db-query": "read",
        "deploy.run": "destructive",
        "status": "read",
    }


@pytest.mark.parametrize(
    "text",
    [
        "permit (principal, action, resource); forbid (principal, action, resource);",
        "forbid (principal, action, resource) unless { context.unmodelled.isEmpty() };",
    ],
)
def test_what_is_kept_reads_back_as_it_was(text: str) -> None:
    found = projected(text, ops(), github())
    stored: JsonObject = msgspec.json.decode(msgspec.json.encode(found.stored(frozenset())))
    assert projections.unpacked(stored) == [
        {uid: one.value for uid, one in facets.items()} for facets in found.statements
    ]
    assert stored["fit"] == found.fit


def test_equal_statements_are_written_once() -> None:
    text = "permit (principal, action, resource); " * 3
    stored = projected(text, ops()).stored(frozenset())
    assert stored["statements"] == [0, 0, 0]
    assert len(msgspec.json.encode(stored)) < 500


def test_a_tool_that_nobody_has_listed_is_not_kept() -> None:
    found = projected("permit (principal, action, resource);", ops())
    unknown = ("OpsMCP::Action", "status")
    (kept,) = projections.unpacked(found.stored(frozenset({unknown}))) or []
    assert unknown not in kept
    assert ("OpsMCP::Action", "db-query") in kept


@pytest.mark.parametrize(
    "odd", [{}, {"v": 2, "parts": [], "statements": []}, {"v": 1, "parts": [], "statements": [4]}]
)
def test_an_unknown_form_is_no_projection(odd: JsonObject) -> None:
    assert projections.unpacked(odd) is None


def test_what_validating_depends_on_changes_the_fit_and_nothing_else_does() -> None:
    text = 'permit (principal, action in OpsMCP::Action::"any", resource);'
    before = projected(text, ops()).fit
    more = replace(ops(), tools=(*ops().tools, make_tool("fresh", properties=strings("a"))))
    assert projected(text, more).fit != before
    renamed = replace(ops(), namespace="ToolsMCP")
    of_none = 'permit (principal, action == Wicket::Action::"get_prompt", resource);'
    assert projected(of_none, renamed).fit != projected(of_none, ops()).fit
    assert projected(text, ops()).fit == before
