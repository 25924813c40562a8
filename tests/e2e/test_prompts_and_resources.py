"""Prompts, resources and completion through a running daemon: decided, filtered, audited."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.conformance.guarded_fixture import GuardedFixture, guarded_fixture
from tests.support.mcp_client import McpClient
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")

ERAS = list(Era)
FORBIDDEN = (
    'forbid (principal, action == Wicket::Action::"get_prompt",'
    ' resource == Wicket::Prompt::"c__test_simple_prompt");\n'
    'forbid (principal, action == Wicket::Action::"read_resource",'
    ' resource == Wicket::Resource::"c+test://static-text");'
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate() -> AsyncIterator[GuardedFixture]:
    """One daemon before the fixture; a policy forbids one prompt and one resource."""
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        async with guarded_fixture(Path(place)) as running:
            create = ("policy", "create", "home", "-", "--name", "Shut")
            running.daemon.wicket(*create, stdin=FORBIDDEN)
            yield running


async def client(gate: GuardedFixture, era: Era) -> McpClient:
    return await McpClient(gate.daemon.port, gate.key, era).open()


async def ask(one: McpClient, method: str, params: dict[str, Any]) -> Any:
    uri = params.get("uri")
    headers = {"Mcp-Name": uri} if uri is not None and one.era is Era.MODERN else None
    return await one.ask(method, params, headers=headers)


def last_row(gate: GuardedFixture) -> Any:
    return gate.daemon.wicket("audit", "list", "--limit", "1")[0]


@pytest.mark.parametrize("era", ERAS)
async def test_lists_show_what_policy_allows_under_front_names(
    gate: GuardedFixture, era: Era
) -> None:
    one = await client(gate, era)
    prompts = (await one.ask("prompts/list")).result["prompts"]
    resources = (await one.ask("resources/list")).result["resources"]
    templates = (await one.ask("resources/templates/list")).result["resourceTemplates"]

    assert "c__test_prompt_with_image" in {prompt["name"] for prompt in prompts}
    assert "c__test_simple_prompt" not in {prompt["name"] for prompt in prompts}
    assert [item["uri"] for item in resources] == [
        "c+test://static-binary",
        "c+test://watched-resource",
    ]
    assert [item["uriTemplate"] for item in templates] == ["c+test://template/{id}/data"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_permitted_prompt_and_resource_are_answered_and_audited(
    gate: GuardedFixture, era: Era
) -> None:
    one = await client(gate, era)
    prompt = await ask(one, "prompts/get", {"name": "c__test_prompt_with_image"})
    assert prompt.result["messages"][0]["content"]["type"] == "image"

    uri = "c+test://template/7/data"
    read = await ask(one, "resources/read", {"uri": uri})
    assert read.result["contents"][0]["uri"] == uri
    row = last_row(gate)
    assert (row["tool"], row["decision"], row["outcome"]) == (
        "test://template/7/data",
        "ALLOW",
        "ok",
    )


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("method", "params", "what"),
    [
        ("prompts/get", {"name": "c__test_simple_prompt"}, "prompt 'test_simple_prompt'"),
        ("resources/read", {"uri": "c+test://static-text"}, "resource 'test://static-text'"),
        (
            "completion/complete",
            {
                "ref": {"type": "ref/prompt", "name": "c__test_simple_prompt"},
                "argument": {"name": "a", "value": "b"},
            },
            "prompt 'test_simple_prompt'",
        ),
        (
            "completion/complete",
            {
                "ref": {"type": "ref/resource", "uri": "c+test://static-text"},
                "argument": {"name": "a", "value": "b"},
            },
            "resource 'test://static-text'",
        ),
        ("prompts/get", {"name": "wicket__status"}, "prompt 'status'"),
    ],
)
async def test_a_forbidden_one_is_denied_and_audited(
    gate: GuardedFixture, era: Era, method: str, params: dict[str, Any], what: str
) -> None:
    one = await client(gate, era)
    answer = await ask(one, method, params)
    assert f"Authorization denied: {what} is not permitted" in answer.error["message"]
    row = last_row(gate)
    assert (row["decision"], row["ref"]) == ("DENY", answer.ref)


@pytest.mark.parametrize("era", ERAS)
async def test_a_completion_is_decided_by_its_reference_and_answered(
    gate: GuardedFixture, era: Era
) -> None:
    one = await client(gate, era)
    ref = {"type": "ref/prompt", "name": "c__test_prompt_with_arguments"}
    answer = await ask(
        one, "completion/complete", {"ref": ref, "argument": {"name": "arg1", "value": "pa"}}
    )
    assert answer.result["completion"]["values"] == ["paris", "park"]


@pytest.mark.parametrize(("era", "code"), [(Era.LEGACY, -32002), (Era.MODERN, -32602)])
async def test_an_unknown_resource_is_told_with_the_uri_that_was_sent(
    gate: GuardedFixture, era: Era, code: int
) -> None:
    one = await client(gate, era)
    for uri in ("c+test://nowhere", "test://static-text", "nobody+x://y"):
        error = (await ask(one, "resources/read", {"uri": uri})).error
        if uri.startswith("nobody"):
            assert "nobody" in error["message"]
        else:
            assert (error["code"], error["data"]["uri"]) == (code, uri)
