"""The tree of names, against the schema of the same catalogue."""

from dataclasses import replace

from tests.support.policies import github, make_tool, ops, two_services
from wicketd.domain.catalogue import ToolStatus
from wicketd.domain.json import JsonObject
from wicketd.policy.names import tree
from wicketd.policy.schema import render

NAMES = tree(two_services(), [ops(), github()])


def test_every_tool_of_the_schema_has_its_tier_and_arguments() -> None:
    found = {one.name: one for one in NAMES.tools}
    assert found["deploy.run"].tier == "destructive"
    assert [(one.name, one.type) for one in found["deploy.run"].input] == [
        ("budget", "decimal"),
        ("env", "String"),
        ("hosts", "Set<String>"),
        ("options", "Record"),
    ]
    assert [one.name for one in found["deploy.run"].input[3].attributes] == ["dry_run", "if"]
    assert found["delete_file"].needs_target
    assert not found["search_code"].needs_target


def test_mapped_types_and_their_parents_carry_attributes() -> None:
    types = {one.name: [each.name for each in one.attributes] for one in NAMES.types}
    assert types["GitHubMCP::Repository"] == ["name", "owner"]
    assert types["GitHubMCP::Owner"] == []


def test_what_a_server_says_of_a_tool_stands_beside_it() -> None:
    mode: JsonObject = {"enum": ["a", "b"], "type": "string"}
    schema: JsonObject = {"type": "object", "properties": {"mode": mode}}
    definition: JsonObject = {"title": "Run", "description": "Runs.", "inputSchema": schema}
    tool = replace(make_tool("run", status=ToolStatus.GONE), definition=definition)
    view = replace(ops(), tools=(tool,), gone_but_named=("run",))
    (found,) = tree(render([view]), [view]).tools
    assert (found.title, found.description, found.is_gone) == ("Run", "Runs.", True)
    assert found.input[0].values == ("a", "b")


def test_the_ids_of_targets_have_a_pattern() -> None:
    assert {(one.type, one.fold) for one in NAMES.targets} == {
        ("GitHubMCP::Repository", "lower"),
        ("GitHubMCP::Owner", "lower"),
    }
