"""The policy editor before a real daemon with a real upstream: each key, and what goes wrong."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import RunningDaemon
from tests.support.policy_desk import NO_DESTRUCTION, desk, shown, written
from tests.support.screen import runs
from tests.support.terminal import StillHost, Terminal, ask, terminal
from wicket_tui.keymap import of_screen
from wicket_tui.screens.editor import EditorScreen
from wicketd.api import policy_endpoints
from wicketd.api.client import AdminClient
from wicketd.api.types import policies

WRONG = NO_DESTRUCTION.replace(";", "\nwhen { context.time.huor < 9 };")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    with desk(tmp_path_factory.mktemp("editor")) as running:
        yield running


@asynccontextmanager
async def editing(
    daemon: RunningDaemon, key: str, home: Path, **options: Any
) -> AsyncIterator[Terminal]:
    """The editor, opened from the list on a policy that is made first where it is not there."""
    found = await ask(
        daemon.socket, policy_endpoints.POLICY_LIST, policies.PolicyList(agent="home")
    )
    if key not in [one.key for one in found.items]:
        await written(daemon.socket, key)
    host = StillHost(environ={"XDG_STATE_HOME": str(home)})
    async with terminal(daemon.socket, host=host, screen=4, agent="home", **options) as person:
        await person.until("baseline-f", "online")
        await person.press("slash")
        await person.type(key)
        await person.press("enter")
        await person.until("1 match", f"─ {key} ─")
        await person.press("enter")
        await person.until("Policies", key, "no problems")
        yield person


def screen(person: Terminal) -> EditorScreen:
    """The editor."""
    assert isinstance(person.app.frame, EditorScreen)
    return person.app.frame


def put(person: Terminal, text: str) -> None:
    """Pastes a text over the whole."""
    editor = screen(person).editor
    editor.put(text, 0, len(editor.text))


async def test_a_live_problem_is_walked_to_mended_and_saved(
    daemon: RunningDaemon, tmp_path: Path
) -> None:
    async with editing(daemon, "mended", tmp_path) as person:
        await person.press("ctrl+s")
        await person.until("Nothing is changed")
        put(person, WRONG)
        await person.until("● 1 error", "● 3:21", "Did you mean", "3●", "draft*")
        await person.press("ctrl+s")
        await person.until("The draft has errors")
        await person.press("ctrl+home", "f8")
        assert screen(person).editor.cursor_location == (2, 20)
        await person.press("f3")
        await person.until("huor", "Close")
        await person.press("escape", "ctrl+t")
        await person.until("no problems")
        await person.press("f2")
        await person.until("Touches 1 tools", "delete_file", "statement 1")
        await person.press("escape", "ctrl+s")
        await person.until("Save mended as v2", "Checked without errors", "+when {")
        await person.type("office hours")
        await person.press("tab", "tab", "enter")
        await person.until("mended v2 is in force", "v2", gone=("draft*",))
    now = await shown(daemon.socket, "mended")
    assert (now.version, now.note, "context.time.hour < 9" in now.text) == (2, "office hours", True)
    assert not [*tmp_path.rglob("*.json")]


async def test_a_recipe_becomes_a_new_policy(daemon: RunningDaemon, tmp_path: Path) -> None:
    host = StillHost(environ={"XDG_STATE_HOME": str(tmp_path)})
    async with terminal(daemon.socket, host=host, screen=4, agent="home") as person:
        await person.until("baseline-files", "online")
        await person.press("n")
        await person.until("New policy", "block-destructive")
        await person.press("j", "j", "j", "enter")
        await person.until("no problems", "draft*")
        called = screen(person).base.name
        await person.press("ctrl+s")
        await person.until("Save a new policy")
        await person.press("ctrl+s")
        await person.until("v1 is in force", f"{called}  v1", gone=("draft*",))
    assert (await shown(daemon.socket, called)).version == 1


async def test_letters_complete_and_the_list_narrows(daemon: RunningDaemon, tmp_path: Path) -> None:
    async with editing(daemon, "completed", tmp_path) as person:
        put(person, "forbid (principal, action, resource) when { context.ti")
        editor = screen(person).editor
        await person.until_true(lambda _: editor.suggestion == "me", "the ghost text")
        await person.press("right")
        await person.type(".h")
        await person.press("ctrl+space")
        await person.until("attribute hour")
        await person.press("tab")
        assert editor.text.endswith("context.time.hour")
        await person.press("full_stop", "ctrl+space", "escape")
        assert editor.text.endswith("hour.")


async def test_the_unsaved_draft_is_outlined_simulated_and_replayed(
    daemon: RunningDaemon, tmp_path: Path
) -> None:
    async with editing(daemon, "tried", tmp_path) as person:
        put(person, NO_DESTRUCTION + "// the second\n" + NO_DESTRUCTION)
        await person.until("no problems", "draft*")
        await person.press("ctrl+g")
        await person.until("2 statements", "forbid (principal")
        await person.press("j", "enter")
        assert screen(person).editor.cursor_location == (3, 0)
        for key, title in (
            ("f5", "Simulate a call with the draft of tried"),
            ("f6", "Replay with the draft of tried"),
            ("f7", "Versions of tried"),
        ):
            await person.press(key)
            await person.until(title)
            await person.press("escape")
            await person.until("draft*", gone=(title,))


async def test_an_answer_to_an_older_text_is_dropped(daemon: RunningDaemon, tmp_path: Path) -> None:
    async with editing(daemon, "overtaken", tmp_path) as person:
        frame = screen(person)
        frame.post_message(EditorScreen.Checked(-1, None, "of an older text"))
        await person.pilot.pause()
        assert "of an older text" not in person.shown
        assert frame.found is not None


async def test_a_text_is_formatted_and_the_format_undone(
    daemon: RunningDaemon, tmp_path: Path
) -> None:
    async with editing(daemon, "formatted", tmp_path) as person:
        ugly = "forbid(principal,action,resource)when{true};"
        put(person, ugly)
        await person.until("no problems", "draft*")
        await person.press("f4")
        await person.until_true(lambda _: screen(person).editor.text != ugly, "the format")
        assert "when { true };" in screen(person).editor.text
        await person.press("ctrl+z")
        assert screen(person).editor.text == ugly


async def test_a_draft_outlives_the_app_and_is_dropped_on_demand(
    daemon: RunningDaemon, tmp_path: Path
) -> None:
    async with editing(daemon, "kept", tmp_path) as person:
        put(person, WRONG)
        await person.until("● 1 error")
    async with editing(daemon, "kept-not", tmp_path):
        pass
    host = StillHost(environ={"XDG_STATE_HOME": str(tmp_path)})
    async with terminal(daemon.socket, host=host, screen=4, agent="home") as person:
        await person.until("baseline-f", "online")
        await person.app.switch_screen(EditorScreen("home", "kept"))
        await person.until("Your draft is back", "huor", "● 1 error")
        await person.press("ctrl+d")
        await person.until("Drop what is typed")
        await person.press("tab", "enter")
        await person.until("no problems", gone=("draft*", "huor"))
        assert screen(person).editor.text == NO_DESTRUCTION
        assert not [*tmp_path.rglob("*.json")]


async def saved_beside(daemon: RunningDaemon, key: str, text: str) -> None:
    """Somebody else saves."""
    async with AdminClient(daemon.socket) as client:
        ref = policies.PolicyRef(agent="home", policy=key)
        now = await client.call(policy_endpoints.POLICY_SHOW, ref)
        request = policies.PolicySave(agent="home", policy=key, text=text)
        await client.call(policy_endpoints.POLICY_SAVE, request, match=now.policy_revision)


@pytest.mark.parametrize(("key", "choice"), [("met", "theirs"), ("won", "mine")])
async def test_a_stale_save_shows_three_texts_and_overwrites_none(
    daemon: RunningDaemon, tmp_path: Path, key: str, choice: str
) -> None:
    async with editing(daemon, key, tmp_path, size=(120, 36)) as person:
        put(person, "// mine\n" + NO_DESTRUCTION)
        await person.until("no problems", "draft*")
        await saved_beside(daemon, key, "// theirs\n" + NO_DESTRUCTION)
        await person.until("v2 saved by")
        await person.press("ctrl+s")
        await person.until(f"Save {key}")
        await person.press("tab", "tab", "enter")
        await person.until("Mine", "Theirs", "Base", "// mine", "// theirs")
        assert (await shown(daemon.socket, key)).version == 2
        await person.pilot.click(f"#{choice}")
        if choice == "mine":
            await person.until(f"{key} v3 is in force")
            assert (await shown(daemon.socket, key)).text.startswith("// mine")
            return
        await person.until("// theirs", gone=("Base", "draft*"))
        await person.press("ctrl+z")
        await person.until("// mine")


async def test_another_policys_save_only_asks_to_go_on(
    daemon: RunningDaemon, tmp_path: Path
) -> None:
    await written(daemon.socket, "neighbour")
    async with editing(daemon, "alone", tmp_path) as person:
        put(person, "// mine\n" + NO_DESTRUCTION)
        await person.until("no problems", "draft*")
        await saved_beside(daemon, "neighbour", "// other\n" + NO_DESTRUCTION)
        await person.press("ctrl+s", "tab", "tab", "enter")
        await person.until("This policy is unchanged")
        await person.press("enter")
        await person.until("alone v2 is in force")


async def test_what_hides_is_pasted_visibly(daemon: RunningDaemon, tmp_path: Path) -> None:
    async with editing(daemon, "hostile", tmp_path) as person:
        hostile = '// \x1b]0;x\x07[red]\u202e\n@deny_message("\u200b[b]\x9b31m")\nforbid (a'
        put(person, hostile)
        lines = await person.until("\\u{1b}]0;x\\u{7}[red]\\u{202e}", "\\u{200b}[b]\\u{9b}31m")
        assert not set("\x1b\x07\x9b\u202e\u200b") & set(lines)


async def test_a_reader_edits_nothing_into_force(daemon: RunningDaemon, tmp_path: Path) -> None:
    async with editing(daemon, "looked-at", tmp_path, read_only=True) as person:
        put(person, "// mine\n" + NO_DESTRUCTION)
        await person.until("draft*", "no problems")
        await person.press("ctrl+s")
        await person.until("Read-only")
    assert (await shown(daemon.socket, "looked-at")).version == 1


@pytest.mark.parametrize("theme", ["wicket-dark", "wicket-light", "blue-orange"])
async def test_every_colour_of_the_editor_can_be_read(
    daemon: RunningDaemon, tmp_path: Path, theme: str
) -> None:
    async with editing(daemon, "coloured", tmp_path, theme=theme) as person:
        put(person, "// a comment\n" + WRONG.replace("9", "9 + 1"))
        await person.until("● 1 error")
        faint = [run for run in runs(person.app) if run.ratio < 4.5 and set(run.text) - set("─▁ ")]
        assert faint == []


def test_every_action_of_the_editor_has_its_method() -> None:
    missing = [
        one.id for one in of_screen("policy_editor") if not hasattr(EditorScreen, one.method)
    ]
    assert missing == []


async def test_without_the_daemon_typing_goes_on(daemon: RunningDaemon, tmp_path: Path) -> None:
    async with editing(daemon, "lonely", tmp_path) as person:
        daemon.kill()
        try:
            await person.until("Connection lost")
            put(person, 'forbid (principal, action, resource) when { "open };')
            await person.until("not checked: no connection", "This string has no end", "● 2 errors")
            await person.press("ctrl+s")
            await person.until("Not connected")
            frame = screen(person)
            await person.until_true(
                lambda _: frame.drafts.find("home", "lonely") is not None, "the draft"
            )
        finally:
            await daemon.start()
