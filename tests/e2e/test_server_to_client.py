"""What servers ask of clients, through a running daemon: the SDK's client, the SDK's server.

Each front in front of each upstream. Forms, models and roots reach exactly the client whose call
asks; what `relay` does not admit is never declared.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult
from typing_extensions import override

from tests.support.bridged import Bridged, Person, bridged, sdk_client, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = "test_elicitation"
ASK = {"message": "Who?"}
FORMS = "test_input_required_result_multi_round"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate() -> AsyncIterator[Bridged]:
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        async with bridged(Path(place)) as running:
            yield running


async def form_and_model(gate: Bridged, mode: str, service: str) -> str:
    """Calls a tool that asks for a form and one that asks a model; what the first one said."""
    ada = Person()
    async with sdk_client(gate, mode, ada) as client:
        form = await client.call_tool(f"{service}__{FORM}", ASK)
        model = await client.call_tool(f"{service}__test_sampling", {"prompt": "Say it."})
    assert "'username': 'Ada'" in text_of(form)
    assert "I am Ada" in text_of(model)
    assert ada.asked == ["elicitation", "sampling"]
    return text_of(form)


@pytest.mark.parametrize("service", ["old", "new"])
async def test_a_legacy_client_answers_a_form_and_a_models_question(
    gate: Bridged, service: str
) -> None:
    assert "action=accept" in await form_and_model(gate, "legacy", service)


@pytest.mark.parametrize("service", ["old", "new"])
async def test_a_person_who_declines_is_taken_at_their_word(gate: Bridged, service: str) -> None:
    async with sdk_client(gate, "legacy", Person(action="decline")) as client:
        said = text_of(await client.call_tool(f"{service}__{FORM}", ASK))
    assert "action=decline" in said


async def test_a_legacy_client_goes_through_the_rounds_of_a_modern_upstream(gate: Bridged) -> None:
    """Each is decided and recorded as a call of its own."""
    async with sdk_client(gate, "legacy", Person()) as client:
        said = text_of(await client.call_tool(f"new__{FORMS}"))
        several = await client.call_tool("new__test_input_required_result_multiple_inputs")
        roots = await client.call_tool("new__test_input_required_result_list_roots")
    assert said == "Ada likes Ada."
    assert text_of(several) == "Answered: ['client_roots', 'greeting', 'user_name']"
    assert "file:///home/Ada" in text_of(roots)
    rows = gate.daemon.wicket("audit", "list", "--limit", "7")
    assert [(row["tool"], row["outcome"]) for row in rows[4:]] == [(FORMS, "ok")] * 3


async def test_a_policy_that_changes_between_rounds_stops_a_legacy_client(gate: Bridged) -> None:
    tool = "new__test_input_required_result_elicitation"
    policy = f'forbid (principal, action, resource == Wicket::Tool::"{tool}");'

    class Slow(Person):
        @override
        async def elicited(self, context: Any, params: Any) -> ElicitResult:
            create = ("policy", "create", "home", "-", "--name", "Stop")
            await asyncio.to_thread(gate.daemon.wicket, *create, stdin=policy)
            return await super().elicited(context, params)

    async with sdk_client(gate, "legacy", Slow()) as client:
        with pytest.raises(MCPError, match="Authorization denied"):
            await client.call_tool(tool)
    rows = gate.daemon.wicket("audit", "list", "--limit", "3")
    decisions = [row["decision"] for row in rows if "decision" in row]
    assert decisions == ["DENY", "ALLOW"]


@pytest.mark.parametrize("service", ["oldshy", "newshy"])
async def test_what_relay_keeps_back_is_never_asked(gate: Bridged, service: str) -> None:
    ada = Person()
    async with sdk_client(gate, "legacy", ada) as client:
        try:
            said = text_of(await client.call_tool(f"{service}__{FORM}", ASK))
        except MCPError as error:
            said = str(error)
    assert "action=accept" not in said
    assert ada.asked == []


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_capability_that_is_missing_is_named_as_missing_or_as_withheld(
    gate: Bridged, mode: str
) -> None:
    async with sdk_client(gate, mode, None) as client:
        with pytest.raises(MCPError) as missing:
            await client.call_tool("new__test_missing_capability")
    assert missing.value.code == -32021
    async with sdk_client(gate, mode, Person()) as client:
        assert text_of(await client.call_tool("new__test_missing_capability"))
        with pytest.raises(MCPError, match="service 'newshy' may not use 'sampling'"):
            await client.call_tool("newshy__test_missing_capability")


@pytest.mark.parametrize("service", ["old", "new"])
async def test_questions_of_many_clients_never_cross(gate: Bridged, service: str) -> None:
    """The same upstream, the same member, colliding ids: each is asked its own question."""

    async def run(name: str) -> None:
        async with sdk_client(gate, "legacy", Person(name)) as client:
            for _ in range(3):
                said = text_of(await client.call_tool(f"{service}__{FORM}", ASK))
                assert f"'username': '{name}'" in said

    await asyncio.gather(*(run(f"person-{n}") for n in range(6)))


@pytest.mark.parametrize("service", ["old", "new"])
async def test_a_modern_client_answers_in_its_own_words_whatever_the_upstream_speaks(
    gate: Bridged, service: str
) -> None:
    """A legacy upstream's request becomes `input_required`; its stream waits for the retry."""
    await form_and_model(gate, "2026-07-28", service)
    rows = gate.daemon.wicket("audit", "list", "--limit", "4")
    assert [row["outcome"] for row in rows] == ["ok"] * 4  # two rounds each


async def test_a_modern_client_that_can_answer_nothing_gets_the_upstreams_own_error(
    gate: Bridged,
) -> None:
    async with sdk_client(gate, "2026-07-28", None) as client:
        try:
            said = text_of(await client.call_tool(f"old__{FORM}", ASK))
        except MCPError as error:
            said = str(error)
    assert "action=accept" not in said
    assert said


@pytest.mark.parametrize("service", ["old", "new"])
async def test_log_messages_name_their_service(gate: Bridged, service: str) -> None:
    ada = Person()
    async with sdk_client(gate, "legacy", ada) as client:
        await client.call_tool(f"{service}__test_tool_with_logging")
    assert set(ada.logged) == {("info", service)}
