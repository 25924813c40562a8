"""What a tool list proposes: tiers by the server's own marks, targets where they are obvious."""

from typing import Any

from wicketd.connectors.forms import ParentForm, ToolsForm
from wicketd.connectors.proposals import PART, propose
from wicketd.domain.catalogue import TierSource


def tool(name: str, *required: str, kind: str = "string", **annotations: bool) -> dict[str, Any]:
    properties = {argument: {"type": kind} for argument in required}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"name": name, "inputSchema": schema, "annotations": annotations}


def test_tiers_are_the_servers_own_marks_and_silence_is_destructive() -> None:
    found = propose(
        [
            tool("look", readOnlyHint=True),
            tool("add", readOnlyHint=False, destructiveHint=False),
            tool("wipe", destructiveHint=True),
            tool("get_everything"),
        ]
    )
    assert found.tools == ToolsForm(
        read=("look",), write=("add",), destructive=("get_everything", "wipe")
    )
    assert dict(found.sources)["get_everything"] is TierSource.DEFAULT
    assert dict(found.sources)["look"] is TierSource.ANNOTATIONS


def test_a_name_that_no_client_could_call_is_left_out_and_named() -> None:
    found = propose([tool("good"), tool("bad name"), tool('x"]\nread = ["'), tool("")])
    assert found.tools.destructive == ("good",)
    assert set(found.skipped) == {"bad name", 'x"]\nread = ["', ""}


def test_owner_and_repository_together_are_a_target_below_the_owner() -> None:
    found = propose([tool("b", "owner", "repo", "n"), tool("a", "owner", "repo"), tool("c", "n")])
    [target] = found.targets
    assert (target.entity, target.id, target.pattern) == ("Repository", "{owner}/{repo}", PART)
    assert target.tools == ("a", "b")
    assert target.parents == (ParentForm(entity="Owner", id="{owner}"),)


def test_each_tool_has_one_target_and_each_entity_one_rule() -> None:
    found = propose(
        [tool("a", "owner", "repo", "project_id"), tool("b", "project_id"), tool("c", "projectId")]
    )
    assert [(one.entity, one.tools) for one in found.targets] == [
        ("Repository", ("a",)),
        ("Project", ("b",)),
    ]


def test_an_optional_or_structured_argument_names_no_target() -> None:
    optional = tool("a")
    optional["inputSchema"]["properties"] = {"project_id": {"type": "string"}}
    assert propose([optional, tool("b", "project_id", kind="object")]).targets == ()
