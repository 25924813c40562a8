"""The panels beside a policy, before a real daemon with a real server and real calls."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.gate import AGENT, Gate, open_gate
from tests.support.screen import runs
from tests.support.terminal import Terminal, terminal
from wicket_tui.screens.coverage import CoverageSheet
from wicket_tui.screens.flips import FlipsSheet
from wicket_tui.screens.replay import ReplaySheet, Subject
from wicket_tui.screens.sheet import Sheet
from wicket_tui.screens.simulate import SimulateSheet
from wicket_tui.screens.versions import VersionsSheet
from wicketd.api import policy_endpoints
from wicketd.api.types import policies

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "no-erasing"
NO_ECHO = 'forbid (principal, action == DeskMCP::Action::"echo", resource);'
NO_ERASING = 'forbid (principal, action == DeskMCP::Action::"erase", resource);'
HOSTILE = "[red]evil[/red]"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("p")) as gate:
        watched = policies.PolicyCreate(agent=AGENT, name="Watched", text=NO_ECHO, mode="shadow")
        await gate.admin.call(policy_endpoints.POLICY_CREATE, watched)
        await save(gate, NO_ERASING, note=HOSTILE)
        client = await gate.client(await gate.member("ann"))
        for name in ("desk__echo", "desk__echo", "desk__erase", "desk__secret"):
            await client.call(name, {"text": "a"} if name == "desk__echo" else {})
        yield gate


async def shown(gate: Gate, key: str = KEY) -> policies.Policy:
    ref = policies.PolicyRef(agent=AGENT, policy=key)
    found: policies.Policy = await gate.admin.call(policy_endpoints.POLICY_SHOW, ref)
    return found


async def save(gate: Gate, text: str, note: str | None = None) -> None:
    asked = policies.PolicySave(agent=AGENT, policy=KEY, text=text, note=note)
    revision = (await shown(gate)).policy_revision
    await gate.admin.call(policy_endpoints.POLICY_SAVE, asked, match=revision)


async def opened(person: Terminal, sheet: Sheet[Any]) -> None:
    """Opens a sheet once the app is connected."""
    await person.until("online", AGENT)
    person.app.open(sheet)


def picture(person: Terminal, name: str) -> None:
    """Keeps an SVG where WICKET_SCREENSHOTS says."""
    wanted = os.environ.get("WICKET_SCREENSHOTS")
    if wanted:
        size = f"{person.app.size.width}x{person.app.size.height}"
        Path(wanted).mkdir(parents=True, exist_ok=True)
        Path(wanted, f"{name}-{size}.svg").write_text(person.app.export_screenshot())


SIZES = pytest.mark.parametrize(
    "size", [(80, 24), pytest.param((120, 40), marks=pytest.mark.long)], ids=str
)


@SIZES
async def test_versions_are_listed_and_compared(gate: Gate, size: tuple[int, int]) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT, size=size) as person:
        await opened(person, VersionsSheet(AGENT, KEY))
        await person.until("Versions of no-erasing", "v2 now", "v1", "[red]")
        await person.until("v1 → v2", "-@deny_message")
        picture(person, "versions")
        await person.press("j")
        await person.until("Erasing needs", gone=("v1 → v2",))
        await person.press("space", "k")
        await person.until("◆ v1", "v1 → v2")
        await person.press("y")
        assert person.app.clipboard == f"wicket policy versions {AGENT} {KEY}"


async def test_an_old_version_is_rolled_back_after_the_question(gate: Gate) -> None:
    before = (await shown(gate)).current.version
    async with terminal(gate.daemon.socket, agent=AGENT) as person:
        await opened(person, VersionsSheet(AGENT, KEY))
        await person.until("v1")
        await person.press("b")
        await person.until("This version is the newest")
        await person.press("G", "b")
        await person.until(
            "Save version 1 of no-erasing", f"wicket policy rollback {AGENT} {KEY} 1"
        )
        await person.press("enter")
        await person.until("Versions of", gone=("Roll back?",))
        assert (await shown(gate)).current.version == before
        await person.press("b", "tab", "enter")
        await person.until("is in force again", f"v{before + 1} now")
    current = (await shown(gate)).current
    assert (current.version, current.rolled_back_from) == (before + 1, 1)


async def test_a_reader_is_told_why_nothing_is_rolled_back(gate: Gate) -> None:
    before = (await shown(gate)).current.version
    async with terminal(gate.daemon.socket, agent=AGENT, read_only=True) as person:
        await opened(person, VersionsSheet(AGENT, KEY))
        await person.until("v1")
        await person.press("G", "b")
        await person.until("Read-only")
    assert (await shown(gate)).current.version == before


async def test_a_stale_roll_back_is_refused_in_words(gate: Gate) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT) as person:
        await opened(person, VersionsSheet(AGENT, KEY))
        await person.until("v1")
        await save(gate, NO_ERASING)
        before = (await shown(gate)).current.version
        await person.press("G", "b")
        await person.until("Save version 1")
        await person.press("tab", "enter")
        await person.until("Somebody changed")
        assert (await shown(gate)).current.version == before


@SIZES
async def test_a_replay_lists_its_flips_first(gate: Gate, size: tuple[int, int]) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT, size=size) as person:
        await opened(person, ReplaySheet(AGENT, Subject(draft=NO_ECHO)))
        await person.until("Replay with a new draft", "nothing is changed by it")
        await person.press("enter")
        shown_now = await person.until("Done", "Changed 2: 2 allow → deny", "✓→✗ denied")
        assert "draft" in shown_now
        picture(person, "replay")
        await person.press("u")
        await person.until("Today's set decides every call")
        await person.press("u")
        await person.until("Every call was decided again")
        await person.press("u")
        await person.until("✓→✗ denied")
        await person.press("o")
        await person.until_true(lambda _: len(person.app.screen_stack) == 2, "the panel closed")


async def test_a_replay_of_a_window_without_calls_says_so(gate: Gate) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT) as person:
        await opened(person, ReplaySheet(AGENT, Subject(policy="payments")))
        await person.until("Replay with payments")
        person.app.screen.query_one("#ask-tool").value = "no-such-tool"  # type: ignore[attr-defined]
        await person.press("enter")
        await person.until("No decision lies in this window")
        person.app.screen.query_one("#ask-since").value = "nonsense"  # type: ignore[attr-defined]
        await person.press("f6")
        await person.until("✗", "nonsense")
        picture(person, "replay-error")


async def test_a_replay_is_cancelled_and_forgotten(gate: Gate) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT) as person:
        sheet = ReplaySheet(AGENT, Subject())
        await opened(person, sheet)
        await person.until("Replay with the set in force")
        await person.press("enter")
        await person.until_true(lambda _: bool(sheet.chosen()["begun"]), "the replay to begin")
        if sheet.chosen()["running"]:
            sheet.action_do("replay.cancel")
            await person.until("Cancelled")
        else:
            sheet.action_do("replay.cancel")
            await person.until("No replay runs.")


@SIZES
async def test_a_call_is_simulated_without_and_with_a_draft(
    gate: Gate, size: tuple[int, int]
) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT, size=size) as person:
        await opened(person, SimulateSheet(AGENT, draft=NO_ECHO))
        await person.until("Simulate a call with the draft", "No call yet", "ann")
        await person.press("f3")
        await person.until("Which tool?", "desk__echo")
        person.app.screen.query_one("Rows").choose("desk__echo")  # type: ignore[attr-defined]
        await person.press("enter")
        await person.until("desk__echo", gone=("Which tool?",))
        await person.press("f5")
        await person.until("✗ With the draft: DENY", "forbid draft@draft #1")
        picture(person, "simulate")
        if size[1] == 40:
            await person.until("✓ Without the draft: ALLOW")


async def test_wrong_arguments_are_said_and_the_form_stays(gate: Gate) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT) as person:
        await opened(person, SimulateSheet(AGENT))
        await person.until("No call yet", "ann")
        person.app.screen.query_one("#ask-args").value = "[1"  # type: ignore[attr-defined]
        await person.press("f5")
        await person.until("The arguments are no JSON object")
        picture(person, "simulate-error")


@SIZES
async def test_coverage_shows_what_wants_a_look(gate: Gate, size: tuple[int, int]) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT, size=size) as person:
        await opened(person, CoverageSheet(AGENT))
        text = await person.until("Coverage of ops", "desk.erase", "always forbidden")
        picture(person, "coverage")
        assert "desk.echo" not in text
        await person.press("u")
        await person.until("✓ by a group")
        await person.press("y")
        assert person.app.clipboard == f"wicket policy coverage {AGENT}"


@SIZES
async def test_flips_of_a_watched_policy_are_listed(gate: Gate, size: tuple[int, int]) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT, size=size) as person:
        await opened(person, FlipsSheet(AGENT, "watched"))
        await person.until("Shadow flips of watched", "2 allow → deny", "desk.echo", "ann")
        picture(person, "flips")


async def test_an_enforced_policy_has_no_flips(gate: Gate) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT) as person:
        await opened(person, FlipsSheet(AGENT, "payments"))
        await person.until("This policy is enforced")


@pytest.mark.parametrize(
    "sheet",
    [
        lambda: VersionsSheet(AGENT, "gone"),
        lambda: FlipsSheet(AGENT, "gone"),
        lambda: CoverageSheet("gone"),
        lambda: SimulateSheet("gone"),
    ],
    ids=["versions", "flips", "coverage", "simulate"],
)
async def test_what_does_not_exist_is_said_with_the_next_step(gate: Gate, sheet: Any) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT) as person:
        await opened(person, sheet())
        await person.until("✗", "not_found", "ctrl+r reads again")
        await person.press("escape")
        await person.until("Dashboard", gone=("not_found",))


@pytest.mark.parametrize(
    "theme",
    [
        "wicket-light",
        *(pytest.param(one, marks=pytest.mark.long) for one in ("wicket-dark", "blue-orange")),
    ],
)
async def test_panels_can_be_read_in_every_theme(gate: Gate, theme: str) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT, theme=theme, size=(120, 36)) as person:
        for sheet, text in (
            (VersionsSheet(AGENT, KEY), "v1"),
            (CoverageSheet(AGENT), "desk.erase"),
            (FlipsSheet(AGENT, "watched"), "desk.echo"),
        ):
            await opened(person, sheet)
            await person.until(text)
            faint = [run for run in runs(person.app) if run.ratio < 4.5]
            wrong = [run for run in faint if not set(run.text) <= set("─│┌╭╮╰╯▁█▂▃▄▅▆▇▍▏▎▌▋▊▉ ")]
            behind = sheet.query_one("#box").region
            assert [one for one in wrong if behind.y <= one.line < behind.bottom] == []
            await person.press("escape")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("v", "Versions of no-erasing"),
        ("s", "Simulate a call on ops"),
        ("r", "Replay with no-erasing"),
        ("C", "Coverage of ops"),
        ("f", "Shadow flips of no-erasing"),
    ],
)
async def test_a_key_of_the_list_opens_the_panel(gate: Gate, key: str, text: str) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT, screen=4) as person:
        await person.until("baseline-desk", "online")
        person.app.screen.query_one("Rows").choose(KEY)  # type: ignore[attr-defined]
        await person.press(key)
        await person.until(text)
        await person.press("escape")
        await person.until("Policies", gone=(text,))


async def test_a_flip_is_looked_up_in_the_audit(gate: Gate) -> None:
    async with terminal(gate.daemon.socket, agent=AGENT) as person:
        await opened(person, FlipsSheet(AGENT, "watched"))
        await person.until("desk.echo")
        ref = person.app.screen.chosen()["ref"]  # type: ignore[attr-defined]
        await person.press("escape")
        person.app.look_up(ref)
        await person.until(f"ref:{ref}", "desk.echo")
