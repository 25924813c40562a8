"""Texts and secrets from files and stdin; questions only at a terminal."""

import io
import sys
from pathlib import Path

import pytest
from typing_extensions import override

from wicket_tui.headless.stdin import InputFailed, confirmed, secret, text_of, typed_name


class Typed(io.StringIO):
    """A stdin at which somebody sits."""

    @override
    def isatty(self) -> bool:
        return True


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_text_comes_from_a_file_or_from_stdin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.cedar").write_text("permit;")
    piped(monkeypatch, "forbid; // ü".encode())

    assert text_of(str(tmp_path / "p.cedar")) == "permit;"
    assert text_of("-") == "forbid; // ü"


@pytest.mark.parametrize("content", [b"\xff", b"x" * (1024 * 1024 + 1)])
def test_what_is_no_text_or_too_long_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p").write_bytes(content)

    with pytest.raises(InputFailed):
        text_of(str(tmp_path / "p"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFailed, match="nothing-here"):
        text_of(str(tmp_path / "nothing-here"))


def test_a_secret_is_the_first_line_of_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, b"  s3cret \nmore\n")

    assert secret("Token: ") == "s3cret"


def test_no_secret_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, b"\n")

    with pytest.raises(InputFailed, match="stdin"):
        secret("Token: ")


@pytest.mark.parametrize(("answer", "agrees"), [("y\n", True), ("\n", False), ("no\n", False)])
def test_a_question_is_no_unless_somebody_says_yes(
    monkeypatch: pytest.MonkeyPatch, answer: str, *, agrees: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(answer))

    assert confirmed("Sure?", yes=False) is agrees


def test_nobody_at_the_terminal_means_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    piped(monkeypatch, b"y\n")

    assert not confirmed("Sure?", yes=False)
    assert not typed_name("prod", yes=False)
    assert "--yes" in capsys.readouterr().err
    assert confirmed("Sure?", yes=True)
    assert typed_name("prod", yes=True)


@pytest.mark.parametrize(("answer", "agrees"), [("prod\n", True), ("Prod\n", False)])
def test_what_is_destroyed_is_named_exactly(
    monkeypatch: pytest.MonkeyPatch, answer: str, *, agrees: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(answer))

    assert typed_name("prod", yes=False) is agrees
