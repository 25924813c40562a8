"""What policies can name: the schema in force, and the targets of calls of the last week."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.calling import calling_over
from tests.support.state import ADMIN, State, open_state
from wicketd.domain.errors import NotFound
from wicketd.domain.json import JsonObject
from wicketd.services.baselines import Allow

DAY_S = 86_400
TARGETS = """
[[target]]
entity = "Page"
tools = ["*"]
id = "{text}"
pattern = "[a-z0-9]{1,20}"
parents = [{ entity = "Book", id = "{text}s" }]
"""


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[State]:
    async with open_state(tmp_path) as fresh:
        fresh.connectors["open"] += TARGETS
        fresh.files.put(fresh.catalogue())
        look: JsonObject = {
            "name": "look",
            "inputSchema": {
                "type": "object",
                "properties": {"text": {"type": "string"}},
                "required": ["text"],
            },
        }
        fresh.upstreams.lists["open"] = [look]
        await fresh.agent()
        await fresh.services.enable(ADMIN, "demo", "open", allow=Allow.ALL)
        await fresh.member()
        yield fresh


async def seen(state: State) -> tuple[tuple[str, str], ...]:
    return (await state.policies.craft.names.of("demo")).targets


async def test_targets_of_calls_can_be_named_newest_first_for_a_week(state: State) -> None:
    calling = calling_over(state)
    caller = await state.caller()
    assert await seen(state) == ()
    for page in ("one", "two", "one"):
        await calling.run(calling.call(caller, arguments={"text": page}))
        state.clock.pass_s(DAY_S)
    page, book = "OpenMCP::Page", "OpenMCP::Book"
    assert await seen(state) == ((page, "one"), (book, "ones"), (page, "two"), (book, "twos"))
    state.clock.pass_s(5.5 * DAY_S)
    assert await seen(state) == ((page, "one"), (book, "ones"))


async def test_a_target_of_another_agent_is_not_named(state: State) -> None:
    calling = calling_over(state)
    await calling.run(calling.call(await state.caller(), arguments={"text": "one"}))
    await state.agent("other")
    await state.services.enable(ADMIN, "other", "open", allow=Allow.ALL)
    assert (await state.policies.craft.names.of("other")).targets == ()
    with pytest.raises(NotFound):
        await state.policies.craft.names.of("nobody")
