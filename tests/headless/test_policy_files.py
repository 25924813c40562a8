"""`wicket policy diff`, `export`, `import`, `edit` against a whole administrative daemon."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.admin import Ran, run_wicket
from tests.support.administered import Administered, administered
from tests.support.state import ADMIN

FORBID = 'forbid (principal, action == NotesMCP::Action::"delete_note", resource);\n'
PERMIT = 'permit (principal, action in Wicket::Action::"write", resource);\n'


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Administered]:
    async with administered(tmp_path) as running:
        await running.state.connected()
        await running.state.policies.create(ADMIN, "demo", name="Keep notes", text=FORBID)
        yield running


async def wicket(there: Administered, words: str, stdin: str = "") -> Ran:
    """Runs `wicket policy …`."""
    return await run_wicket(there.socket, "policy", *words.split(), stdin=stdin)


async def test_a_diff_shows_text_and_facts(there: Administered) -> None:
    await wicket(there, "save demo keep-notes --name Writers", PERMIT)
    ran = await wicket(there, "diff demo keep-notes 1 2")
    assert ran.code == 0
    assert ran.out == (
        "name: Keep notes -> Writers\n"
        "--- keep-notes@1\n"
        "+++ keep-notes@2\n"
        "@@ -1 +1 @@\n"
        f"-{FORBID}"
        f"+{PERMIT}"
    )
    assert (await wicket(there, "diff demo keep-notes 1 9")).code == 3
    assert (await wicket(there, "diff demo nothing 1 2")).code == 3
    assert (await wicket(there, "diff demo keep-notes 0 2")).code == 2


async def test_a_set_goes_out_is_changed_in_files_and_comes_in(
    there: Administered, tmp_path: Path
) -> None:
    files = tmp_path / "set"
    out = await wicket(there, f"export demo {files}")
    assert (out.code, out.out) == (0, "")
    same = await wicket(there, f"import demo {files}")
    assert (same.code, same.out) == (0, "Nothing to change: 3 policies are as in the files.\n")

    (files / "keep-notes.cedar").write_text(PERMIT)
    plan = await wicket(there, f"import demo {files} --dry-run")
    assert plan.code == 0
    assert plan.out.startswith("CHANGE  POLICY      FIELDS\nupdate  keep-notes  text\n")
    assert f"+{PERMIT}" in plan.out
    assert (await wicket(there, "show demo keep-notes --version 2")).code == 3

    unasked = await wicket(there, f"import demo {files}")
    assert (unasked.code, "--yes" in unasked.err) == (1, True)
    done = await wicket(there, f"import demo {files} --yes --note reviewed")
    assert (done.code, "is in force" in done.err) == (0, True)
    assert PERMIT.strip() in (await wicket(there, "show demo keep-notes")).out
    assert (await wicket(there, f"import demo {files} --json")).code == 0


async def test_a_broken_set_is_refused_with_place_and_exit_code(
    there: Administered, tmp_path: Path
) -> None:
    files = tmp_path / "set"
    await wicket(there, f"export demo {files}")
    (files / "keep-notes.cedar").write_text("permit (")
    ran = await wicket(there, f"import demo {files} --dry-run")
    assert ran.code == 6
    assert "  keep-notes:1:9 error[syntax]" in ran.err
    (files / "keep-notes.cedar").unlink()
    assert (await wicket(there, f"import demo {files} --dry-run")).code == 2
    assert (await wicket(there, f"import nowhere {files}")).code == 2
    assert (await wicket(there, f"export nowhere {tmp_path / 'other'}")).code == 3


def editor(tmp_path: Path, script: str) -> str:
    """An editor that a script stands for; `$1` is the file."""
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return str(path)


async def test_an_edited_text_is_saved_as_a_new_version(
    there: Administered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor(tmp_path, 'sed -i s/delete_note/create_note/ "$1"'))
    ran = await wicket(there, "edit demo keep-notes --note softer")
    assert (ran.code, "is at version 2" in ran.err) == (0, True)
    assert "create_note" in (await there.state.policies.get("demo", "keep-notes")).version.text
    again = await wicket(there, "edit demo keep-notes")
    assert (again.code, again.err) == (0, "Nothing was changed.\n")
    assert list(tmp_path.glob("wicket-*")) == []


async def test_what_cannot_be_saved_is_kept_in_its_file(
    there: Administered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor(tmp_path, 'echo "permit (" > "$1"'))
    ran = await wicket(there, "edit demo keep-notes")
    assert (ran.code, "error[syntax]" in ran.err) == (6, True)
    (kept,) = tmp_path.glob("wicket-*/keep-notes.cedar")
    assert f"Your text is kept in {kept}." in ran.err
    assert kept.read_text() == "permit (\n"


async def test_a_stale_edit_is_refused_with_what_changed(
    there: Administered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The editor's script stands for a colleague who saves meanwhile."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("VISUAL", raising=False)
    colleague = (
        'sed s/delete_note/search_notes/ "$1" | python3 -c \'from wicket_tui.cli import main; '
        'main()\' policy save demo keep-notes; sed -i s/delete_note/create_note/ "$1"'
    )
    monkeypatch.setenv("EDITOR", editor(tmp_path, colleague))
    ran = await wicket(there, "edit demo keep-notes")
    assert ran.code == 5
    assert "saved version 2:" in ran.err
    assert '+forbid (principal, action == NotesMCP::Action::"search_notes", resource);' in ran.err
    (kept,) = tmp_path.glob("wicket-*/keep-notes.cedar")
    assert "create_note" in kept.read_text()
    assert "search_notes" in (await there.state.policies.get("demo", "keep-notes")).version.text


async def test_an_editor_that_is_none_is_said(
    there: Administered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    assert (await wicket(there, "edit demo keep-notes")).code == 2
    monkeypatch.setenv("EDITOR", str(tmp_path / "none"))
    assert "Cannot run" in (await wicket(there, "edit demo keep-notes")).err
    monkeypatch.setenv("EDITOR", "false")
    ran = await wicket(there, "edit demo keep-notes")
    assert (ran.code, "nothing is saved" in ran.err) == (2, True)


async def test_coverage_shows_tools_and_policies(there: Administered) -> None:
    ran = await wicket(there, "coverage demo")
    assert ran.code == 0
    tools, records, days = ran.out.split("\n\n")
    assert tools.splitlines()[0].split() == ["COVER", "TOOL", "TIER", "STALE", "POLICIES"]
    assert "keep-notes" in records
    assert days == "Hits are of the last 30 days.\n"
    assert (await wicket(there, "coverage nowhere")).code == 3
