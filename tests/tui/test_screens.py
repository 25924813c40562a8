"""The screens before a real daemon: what they show, what their keys change, and how they fail."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import RunningDaemon, running_daemon
from tests.support.screen import runs
from tests.support.terminal import Terminal, ask, daemon_process, terminal
from wicket_tui.app import WicketApp
from wicket_tui.keymap import BY_ID
from wicket_tui.options import ThemeName
from wicket_tui.styles.themes import THEMES
from wicket_tui.widgets import masthead
from wicketd.api import endpoints
from wicketd.api.types import agents, invites, members
from wicketd.api.types.listing import Empty

SCREENS = {
    "dashboard": 1,
    "agents": 2,
    "services": 3,
    "policies": 4,
    "members": 5,
    "audit": 6,
    "sessions": 7,
    "status": 8,
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    with daemon_process(tmp_path_factory.mktemp("tui")) as running:
        asyncio.run(furnish(running.socket))
        yield running


async def furnish(socket: Path) -> None:
    for key, name in (("deploy", "Deploy bot"), ("hostile", "[red]evil[/red]"), ("off", "Off")):
        await ask(socket, endpoints.AGENT_CREATE, agents.AgentCreate(key=key, name=name))
    off = agents.AgentStatusSet(agent="off", status="disabled", reason="leak [bold]now[/bold]")
    await ask(socket, endpoints.AGENT_STATUS, off)
    for name in ("ci", "cron"):
        await ask(socket, endpoints.MEMBER_ADD, members.MemberAdd(agent="deploy", name=name))


async def member(socket: Path, name: str) -> members.Member:
    request = members.MemberRef(agent="deploy", member=name)
    found: members.Member = await ask(socket, endpoints.MEMBER_SHOW, request)
    return found


@pytest.mark.parametrize("screen", SCREENS)
async def test_a_screen_loads_and_names_itself(daemon: RunningDaemon, screen: str) -> None:
    async with terminal(daemon.socket, screen=SCREENS[screen], agent="deploy") as person:
        await person.until("WRITE", "online", "deploy")
        shown = await person.until_true(
            lambda _: person.app.frame is not None and person.app.frame.panel.state != "loading",
            "data",
        )
        assert person.app.frame is not None
        assert screen == person.app.frame.NAME
        lines = shown.splitlines()
        assert lines[1].endswith("8 Status")
        assert lines[-1].endswith("Help")
        assert max(len(line) for line in lines) <= 80


@pytest.mark.parametrize("theme", [name for name in THEMES if name != "ansi"])
async def test_every_text_can_be_read_in_every_theme(daemon: RunningDaemon, theme: str) -> None:
    async with terminal(daemon.socket, screen=2, theme=theme, size=(120, 36)) as person:
        await person.until("✗ disabled", "online")
        for key in ("5", "6", "8", "1", "2"):
            await person.press(key)
            await person.until_true(
                lambda _: (
                    person.app.frame is not None and person.app.frame.panel.state != "loading"
                ),
                "data",
            )
            faint = [run for run in runs(person.app) if run.ratio < 4.5]
            assert [run for run in faint if not set(run.text) <= set("─│╭╮╰╯▁█▂▃▄▅▆▇ ")] == []


@pytest.mark.parametrize("screen", [1, 2, 3, 4, 5, 6, 7, 8])
async def test_a_reader_changes_nothing_and_is_told_why(daemon: RunningDaemon, screen: int) -> None:
    async with terminal(daemon.socket, screen=screen, agent="deploy", read_only=True) as person:
        await person.until("READ-ONLY")
        await person.until_true(
            lambda _: person.app.frame is not None and person.app.frame.panel.state != "loading",
            "data",
        )
        before = (await ask(daemon.socket, endpoints.STATUS, Empty())).audit_seq
        frame = person.app.frame
        assert frame is not None
        writes = [a for a in BY_ID.values() if frame.NAME in a.where and a.permission == "write"]
        for action in writes:
            person.app.action_run(action.id)
        await person.pilot.pause()
        assert type(person.app.screen) is type(frame)
        if writes:
            await person.until("Read-only")
        assert (await ask(daemon.socket, endpoints.STATUS, Empty())).audit_seq == before


async def test_markup_of_others_is_shown_as_it_is(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=2, agent="hostile") as person:
        await person.until("off")
        await person.press("g", "j")
        await person.until("[red]evil[/red]")
        await person.press("j")
        await person.until("leak [bold]now[/bold]")


async def test_an_invitation_shows_its_link_once(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=5, agent="deploy") as person:
        await person.until("Members 2")
        await person.press("i")
        await person.until("Invite to deploy")
        await person.type("ann@example.org")
        await person.press("tab", "tab", "tab", "tab", "tab", "enter")
        await person.until("The link, shown this once", "http")
        await person.press("y")
        assert person.app.clipboard.startswith("http")
        await person.press("escape")
        await person.until("? invited", gone=("shown this once",))
        assert all(person.app.clipboard not in sent.command for sent in person.app.session.log)
    found = await ask(daemon.socket, endpoints.INVITE_LIST, invites.InviteList(agent="deploy"))
    assert [one.email for one in found.items] == ["ann@example.org"]


async def test_removing_a_member_wants_its_name(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=5, agent="deploy") as person:
        await person.until("cron")
        await person.press("G", "D")
        await person.until("Type cron to go on")
        await person.type("crom")
        await person.press("tab", "tab", "enter")
        assert (await member(daemon.socket, "cron")).state == "approved"
        await person.press("escape", "D")
        await person.until("Type cron to go on")
        await person.type("cron")
        await person.press("tab", "tab", "enter")
        await person.until("cron is removed")


async def test_groups_are_edited(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=5, agent="deploy") as person:
        await person.until("✓ approved", "online")
        await person.press("G", "e")
        await person.until("Edit ci")
        await person.press("tab")
        await person.type("ops")
        await person.press("tab", "tab", "tab", "enter")
        await person.until("ci is changed")
        assert (await member(daemon.socket, "ci")).groups == ("ops",)


async def test_a_checkpoint_is_signed(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=8) as person:
        await person.until("Health", "audit rows")
        await person.press("c")
        await person.until("Signed:")


async def test_the_catalogue_is_offered_and_its_report_comes_first(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=3, agent="deploy") as person:
        await person.until("No service is enabled yet")
        await person.press("n")
        await person.until("Enable which service?", "GitHub")


async def test_help_is_searched_and_copies_commands(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=5, agent="deploy") as person:
        await person.until("Members")
        await person.press("question_mark", "slash")
        await person.type("approve")
        await person.press("enter")
        await person.until("Admit a pending member", "member.approve")
        await person.press("y")
        assert person.app.clipboard.startswith("wicket member approve deploy")


def test_the_command_line_offers_the_themes_that_there_are() -> None:
    assert {*ThemeName} == {*THEMES}


async def test_themes_are_tried_and_esc_goes_back(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=2) as person:
        await person.until("Agents")
        await person.press("T", "j")
        assert person.app.theme == "wicket-light"
        await person.press("escape")
        assert person.app.theme == "wicket-dark"


async def test_the_log_holds_commands_and_no_values(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=2) as person:
        await person.until("Agents 3", "disabled")
        await person.press("L")
        await person.until("Command log", "wicket agent list", "done")


async def test_a_small_terminal_says_so(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=2, size=(59, 20)) as person:
        await person.until("Make me larger")


async def test_jump_letters_move_the_focus(daemon: RunningDaemon) -> None:
    async with terminal(daemon.socket, screen=2) as person:
        await person.until("Agents")
        await person.press("ctrl+o")
        await person.until(" a ", "Details")
        await person.press("s")
        assert person.app.focused is not None
        assert person.app.focused.id == "facts"


async def arrived(person: Terminal, screen: str) -> None:
    """Waits until a screen is shown and built."""

    def is_there(_: str) -> bool:
        frame = person.app.frame
        return frame is not None and frame.is_built and screen == frame.NAME

    await person.until_true(is_there, screen)


async def test_a_killed_daemon_is_said_and_its_return_noticed(tmp_path: Path) -> None:
    async with running_daemon(tmp_path) as daemon:
        await ask(daemon.socket, endpoints.AGENT_CREATE, agents.AgentCreate(key="one", name="One"))
        async with terminal(daemon.socket, screen=2) as person:
            await person.until("One", "online")
            daemon.kill()
            shown = await person.until("Connection lost", "lost")
            assert "One" in shown
            for screen, number in SCREENS.items():
                await person.press(str(number))
                await arrived(person, screen)
                await person.until("Connection lost")
            await person.press("2")
            await arrived(person, "agents")
            await person.press("K")
            await person.until("Not connected")
            await daemon.start()
            await person.press("ctrl+r")
            await person.until("one", "online", gone=("Connection lost",))


def test_no_screen_is_left_out() -> None:
    assert [*WicketApp.SCREENS] == [*masthead.SCREENS] == [*SCREENS]
