"""Calls of several rounds through a running daemon: each is decided and audited, none is forged."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.conformance.guarded_fixture import GuardedFixture, guarded_fixture
from tests.support.mcp_client import MODERN_VERSION, Answer, McpClient
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")

META = "io.modelcontextprotocol/"
ROUNDS = "c__test_input_required_result_multi_round"
ALICE = {"step1": {"action": "accept", "content": {"name": "Alice"}}}
BLUE = {"step2": {"action": "accept", "content": {"color": "blue"}}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate() -> AsyncIterator[GuardedFixture]:
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        async with guarded_fixture(Path(place)) as running:
            yield running


async def ask(gate: GuardedFixture, name: str, key: str = "", **more: Any) -> Answer:
    """One round of a client that can answer forms."""
    one = McpClient(gate.daemon.port, key or gate.key, Era.MODERN)
    capabilities = more.pop("capabilities", {"elicitation": {}})
    meta = {f"{META}protocolVersion": MODERN_VERSION, f"{META}clientCapabilities": capabilities}
    params = {"name": name, "arguments": {}, "_meta": meta, **more}
    body = one.message("tools/call", msgspec.json.encode(params))
    return await one.post(body, "tools/call", name)


async def test_each_round_is_a_call_of_its_own_that_names_its_parent(gate: GuardedFixture) -> None:
    first = (await ask(gate, ROUNDS)).result
    assert first["resultType"] == "input_required"
    second = await ask(gate, ROUNDS, inputResponses=ALICE, requestState=first["requestState"])
    last = await ask(gate, ROUNDS, inputResponses=BLUE, requestState=second.result["requestState"])

    assert last.result["content"][0]["text"] == "Alice likes blue."
    rows = gate.daemon.wicket("audit", "list", "--limit", "3")
    assert [(row["tool"], row["decision"], row["outcome"]) for row in rows] == [
        ("test_input_required_result_multi_round", "ALLOW", "ok")
    ] * 3


async def test_a_policy_that_changes_between_rounds_holds_for_the_next_one(
    gate: GuardedFixture,
) -> None:
    name = "c__test_input_required_result_request_state"
    first = (await ask(gate, name)).result
    forbid = f'forbid (principal, action, resource == Wicket::Tool::"{name}");'
    create = ("policy", "create", "home", "-", "--name", "Stop")
    gate.daemon.wicket(*create, stdin=forbid)

    answer = await ask(gate, name, inputResponses={}, requestState=first["requestState"])

    assert "Authorization denied" in answer.error["message"]


async def test_a_state_is_worthless_changed_for_another_tool_or_for_another_member(
    gate: GuardedFixture,
) -> None:
    state = (await ask(gate, ROUNDS)).result["requestState"]
    gate.daemon.wicket("member", "add", "home", "other", "--local")
    other = gate.daemon.wicket("key", "issue", "home", "other")["text"]

    answers = [
        await ask(gate, ROUNDS, inputResponses=ALICE, requestState=state + "A"),
        await ask(gate, ROUNDS, inputResponses=ALICE, requestState="round-1.forged"),
        await ask(gate, "c__test_simple_text", requestState=state),
        await ask(gate, ROUNDS, other, inputResponses=ALICE, requestState=state),
    ]

    said = {(answer.error["code"], answer.error["message"]) for answer in answers}
    assert said == {(-32602, "Invalid or expired requestState")}
    assert (await ask(gate, ROUNDS, inputResponses=ALICE, requestState=state)).result


async def test_an_upstream_may_not_ask_for_what_the_client_did_not_declare(
    gate: GuardedFixture,
) -> None:
    answer = await ask(gate, ROUNDS, capabilities={})
    assert "invalid answer" in answer.error["message"]


async def test_answers_that_are_no_objects_are_refused_by_their_name(gate: GuardedFixture) -> None:
    answer = await ask(gate, ROUNDS, inputResponses={"step1": 1})
    assert (answer.status, answer.error["code"]) == (400, -32602)
    assert "params/inputResponses" in answer.error["message"]
