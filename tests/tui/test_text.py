"""The one door for foreign text lets nothing through that a terminal or a widget would obey."""

from datetime import UTC, datetime

import pytest
from rich.cells import cell_len

from wicket_tui.widgets.text import fitted, meaning, moment, plain, prose, stated

FOREIGN = (
    "\x1b]52;c;aGk=\x07",
    "\x1b]8;;https://evil.example\x07link\x1b]8;;\x07",
    "\x9b31mred",
    "\u202eevil\u2066",
    "\ud800",
    "a\u200ftag\U000e0041",
    "x" * 10_000,
)


@pytest.mark.parametrize("foreign", FOREIGN)
def test_controls_are_made_visible_and_names_are_cut(foreign: str) -> None:
    for shown in (plain(foreign).plain, prose(foreign).plain):
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in shown)
        assert not set(shown) & set("\u202e\u2066\u200f\ud800\U000e0041")
        shown.encode()
    assert len(plain(foreign).plain) <= 600


def test_markup_stays_text() -> None:
    assert plain("[red]x[/red]").plain == "[red]x[/red]"
    assert plain("[red]x[/red]").spans == []


@pytest.mark.parametrize(
    "text", ["short", "a longer name than fits", "日本語の長い名前です", "e\u0301" * 40]
)
def test_a_cell_is_never_wider_than_its_column(text: str) -> None:
    assert cell_len(fitted(plain(text), 12).plain) <= 12


def test_a_state_has_sign_and_word() -> None:
    assert stated("approved") == "✓ approved"
    assert stated("disabled") == "✗ disabled"
    assert stated("pending") == "? pending"
    assert meaning("something new") == "muted"


def test_times_are_said_in_words() -> None:
    now = datetime(2027, 3, 1, 12, tzinfo=UTC)
    assert moment("2027-03-01T11:59:30Z", now) == "30 s ago"
    assert moment("2027-02-27T12:00:00Z", now) == "2 d ago"
    assert moment("2026-01-01T00:00:00Z", now) == "2026-01-01"
    assert moment(None, now) == "never"
