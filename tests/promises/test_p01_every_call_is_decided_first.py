"""P1: every call is decided by Cedar before any upstream byte, whatever the token could do."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.gate import TOKEN, Gate, open_gate
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERMITTED = "echo"
POLICY = f'permit (principal, action == VaultMCP::Action::"{PERMITTED}", resource);'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("p"), policies={"One tool": POLICY}) as gate:
        yield gate


@pytest.mark.requirement("P1")
@pytest.mark.parametrize("era", list(Era))
async def test_of_17_tools_that_the_token_opens_only_the_permitted_one_is_asked_for(
    gate: Gate, era: Era
) -> None:
    client = await gate.client(await gate.connected(f"ann-{era.value}"), era)
    tools = [PERMITTED, *(name for name in gate.desk.tools if name != PERMITTED)][:17]
    assert len(tools) == 17
    before, denials = len(gate.upstream.of("tools/call")), 0
    for tool in reversed(tools):
        answer = await client.call(f"vault__{tool}", {})
        denials += "error" in answer.json
    calls = gate.upstream.of("tools/call")[before:]
    assert denials == 16
    assert [call.body["params"]["name"] for call in calls] == [PERMITTED]
    assert calls[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.requirement("P1")
@pytest.mark.parametrize("era", list(Era))
async def test_other_ways_to_an_upstream_are_decided_or_lead_nowhere(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.connected(f"bob-{era.value}"), era)
    before = gate.forwarded
    for method, params in (
        ("prompts/get", {"name": "vault__review"}),
        ("resources/read", {"uri": "vault+file:///etc/passwd"}),
        ("completion/complete", {
            "ref": {"type": "ref/prompt", "name": "vault__review"},
            "argument": {"name": "a", "value": "b"},
        }),
        ("tasks/get", {"taskId": "1"}),
        ("sampling/createMessage", {}),
    ):  # fmt: skip
        headers = {"Mcp-Name": str(params["uri"])} if "uri" in params else None
        answer = await client.ask(method, params, headers=headers if era is Era.MODERN else None)
        assert "error" in answer.json
    assert gate.forwarded == before
