"""Drafts on this machine: private, whole, and of one daemon; and the hand over to $EDITOR."""

import stat
from pathlib import Path

import pytest

from wicket_tui.drafts import Draft, Drafts
from wicket_tui.handoff import EditorFailed, edited

DRAFT = Draft(name="n", text="permit", base="", version=1, revision=2, at="2026-11-24T00:00:00Z")


def test_a_draft_is_found_again_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path, Path("/run/one.sock"))
    drafts.keep("home", "p", DRAFT)
    assert Drafts(tmp_path, Path("/run/one.sock")).find("home", "p") == DRAFT
    (file,) = tmp_path.rglob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert Drafts(tmp_path, Path("/run/two.sock")).find("home", "p") is None


def test_a_draft_is_replaced_and_dropped(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path, Path("/run/one.sock"))
    drafts.keep("home", "", DRAFT)
    drafts.keep("home", "", Draft(name="n", text="x", base="", version=0, revision=0, at=""))
    assert (found := drafts.find("home", "")) is not None
    assert found.text == "x"
    drafts.drop("home", "")
    assert drafts.find("home", "") is None


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path, Path("/run/one.sock"))
    drafts.keep("home", "p", DRAFT)
    (file,) = tmp_path.rglob("*.json")
    target = tmp_path / "target"
    target.write_text("kept")
    file.unlink()
    file.symlink_to(target)
    file.with_suffix(".new").symlink_to(target)
    drafts.keep("home", "p", DRAFT)
    assert target.read_text() == "kept"
    assert not file.is_symlink()


def test_nonsense_and_no_home_are_no_draft(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path, Path("/run/one.sock"))
    drafts.keep("home", "p", DRAFT)
    (file,) = tmp_path.rglob("*.json")
    file.write_text("{")
    assert drafts.find("home", "p") is None
    homeless = Drafts(None, Path("/run/one.sock"))
    assert homeless.find("home", "p") is None
    homeless.drop("home", "p")
    with pytest.raises(OSError, match="home"):
        homeless.keep("home", "p", DRAFT)


def editor(directory: Path, script: str) -> dict[str, str]:
    """An environment whose editor is a script."""
    path = directory / "my editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return {"VISUAL": f"'{path}' -x", "EDITOR": "false", "XDG_RUNTIME_DIR": str(directory)}


def test_the_editor_gets_a_private_file_that_is_gone_afterwards(tmp_path: Path) -> None:
    environ = editor(tmp_path, f'stat -c "%a $2" "$2" > {tmp_path}/seen; printf "%s" "; é" >> "$2"')
    assert edited("permit", environ) == "permit; é"
    mode, path = (tmp_path / "seen").read_text().split(maxsplit=1)
    assert mode == "600"
    assert path.strip().endswith(".cedar")
    assert not Path(path.strip()).exists()


@pytest.mark.parametrize("script", ["exit 3", "printf '\\377' > \"$2\""])
def test_an_editor_that_fails_changes_nothing(tmp_path: Path, script: str) -> None:
    with pytest.raises(EditorFailed):
        edited("permit", editor(tmp_path, script))
    assert [*tmp_path.glob("wicket-*")] == []


@pytest.mark.parametrize("said", ["/no/such/editor", "'open", " "])
def test_an_editor_that_is_none_is_named(said: str) -> None:
    with pytest.raises(EditorFailed, match="EDITOR"):
        edited("permit", {"EDITOR": said})
