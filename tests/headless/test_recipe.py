"""`wicket policy recipe` against a whole administrative daemon."""

from pathlib import Path

import pytest

from tests.support.admin import run_wicket
from tests.support.administered import administered

OUTPUT = """\
@id("block-notes-destructive-tools")
@deny_message("Notes are kept.")
forbid (
  principal,
  action in [NotesMCP::Action::"delete_note"],
  resource
);
"""


async def test_a_form_gives_a_text_that_can_be_piped_on(tmp_path: Path) -> None:
    async with administered(tmp_path) as there:
        await there.state.connected()
        words = ["--service", "notes", "--tool", "delete_note", "--deny-message", "Notes are kept."]
        made = await run_wicket(
            there.socket, "policy", "recipe", "demo", "block-destructive", *words
        )
        assert (made.code, made.out, made.err) == (0, OUTPUT, "")
        saved = await run_wicket(
            there.socket, "policy", "create", "demo", "--name", "Keep notes", stdin=made.out
        )
        assert saved.code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("per-member --service notes --member gone@example.org", 0, "no member gone@example.org"),
        (
            "business-hours --service notes --day mon --day fri --hours 22-5 --from 2026-12-01",
            0,
            "",
        ),
        ("per-member --service notes", 6, "needs members or groups"),
        ("custom --name x", 6, "needs a name and an effect"),
        ("custom --name x --effect forbid --outside", 6, "Outside needs a restriction"),
        ("custom --name x --effect forbid --target acme", 2, "is no target"),
        ("business-hours --service notes --hours nine", 2, "are no hours"),
        ("date-window --service notes --from soon", 2, "is no day"),
        ("nothing", 2, "Invalid value"),
    ],
)
async def test_each_form_has_its_exit_code(
    tmp_path: Path, words: str, code: int, said: str
) -> None:
    async with administered(tmp_path) as there:
        await there.state.connected()
        ran = await run_wicket(there.socket, "policy", "recipe", "demo", *words.split())
    assert (ran.code, said in ran.err) == (code, True), ran.err
    assert bool(ran.out) is (code == 0)
