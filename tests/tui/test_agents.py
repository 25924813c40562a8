"""Screen 2 before a real daemon: each key changes what it says, and nothing for a reader."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import RunningDaemon
from tests.support.terminal import ask, daemon_process, terminal
from wicketd.api import endpoints
from wicketd.api.types import agents


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    with daemon_process(tmp_path_factory.mktemp("tui")) as running:
        yield running


async def agent(socket: Path, key: str) -> agents.Agent:
    found: agents.Agent = await ask(socket, endpoints.AGENT_SHOW, agents.AgentRef(agent=key))
    return found


async def made(socket: Path, key: str) -> None:
    await ask(socket, endpoints.AGENT_CREATE, agents.AgentCreate(key=key, name=key.capitalize()))


async def test_an_empty_list_says_what_to_do_first(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=2) as person:
        await person.until("No agent yet", "create the first agent", "WRITE", "online")


async def test_an_agent_is_created_and_then_shown(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=2) as person:
        await person.until("No agent yet")
        await person.press("n")
        await person.until("New agent")
        await person.type("deploy-bot")
        await person.press("tab")
        await person.type("Deploy bot")
        await person.press("tab", "tab", "tab", "tab", "tab", "enter")
        await person.until("Agents 1", "deploy-bot", "is made")
        assert (await agent(daemon.socket, "deploy-bot")).name == "Deploy bot"


async def test_the_kill_switch_asks_and_no_is_the_default(daemon: RunningDaemon) -> None:
    await made(daemon.socket, "switched")
    async with terminal(daemon.socket, screen=2) as person:
        await person.until("switched")
        await person.press("G", "K")
        await person.until("Disable switched.", "wicket agent disable switched")
        await person.press("enter")
        await person.until("Agents", gone=("Kill switch?",))
        assert (await agent(daemon.socket, "switched")).status == "active"
        await person.press("K", "shift+tab", "l", "e", "a", "k", "tab", "tab", "enter")
        await person.until("✗ disabled")
        changed = await agent(daemon.socket, "switched")
        assert (changed.status, changed.disabled_reason) == ("disabled", "leak")


async def test_what_a_reader_may_not_do_is_explained(daemon: RunningDaemon) -> None:
    await made(daemon.socket, "kept")
    async with terminal(daemon.socket, screen=2, read_only=True) as person:
        await person.until("kept", "READ-ONLY")
        await person.press("K")
        await person.until("Read-only")
        assert (await agent(daemon.socket, "kept")).status == "active"


async def test_y_copies_the_command_of_the_row(daemon: RunningDaemon) -> None:
    await made(daemon.socket, "zulu")
    async with terminal(daemon.socket, screen=2) as person:
        await person.until("zulu")
        await person.press("G", "y")
        assert person.app.clipboard == "wicket agent show zulu"


async def test_a_filter_narrows_and_esc_clears_it(daemon: RunningDaemon) -> None:
    await made(daemon.socket, "yankee")
    async with terminal(daemon.socket, screen=2) as person:
        await person.until("yankee")
        await person.press("slash")
        await person.type("yank")
        await person.until("1 match")
        await person.press("escape", "escape")
        await person.until("Agents", gone=("match",))


async def test_a_change_beside_the_app_is_seen(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=2) as person:
        await person.until("Agents", "online")
        await made(daemon.socket, "xray")
        await person.until("xray")
