"""What a terminal may be shown of foreign text."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.api.text import MESSAGE_LIMIT, NAME_LIMIT, safe_json, safe_message, safe_text

HIDDEN = (
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0x2028, 0x2029, 0x061C, 0x200E, 0x200F, 0xFEFF, 0xE0000, 0xE0041, 0xE007F, 0xD800, 0xDFFF),
    *range(0x200B, 0x200E),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2065),
    *range(0x2066, 0x206A),
)


@pytest.mark.parametrize("code", HIDDEN)
def test_a_hidden_character_becomes_visible(code: int) -> None:
    shown = safe_text(f"a{chr(code)}b")

    assert chr(code) not in shown
    assert shown in (f"a\\x{code:02x}b", f"a\\u{{{code:x}}}b")


def test_an_escape_sequence_is_spelled_out() -> None:
    assert safe_text("\x1b]0;owned\x07") == "\\x1b]0;owned\\x07"
    assert safe_text("user\u202etxt.exe") == "user\\u{202e}txt.exe"


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    text = "Grüße, 世界 🎉 naïve — [bold]x[/bold]"

    assert safe_text(text) == text


def test_line_ends_survive_only_in_messages() -> None:
    assert safe_text("a\nb") == "a\\x0ab"
    assert safe_message("a\nb\r") == "a\nb\\x0d"


def test_long_text_is_cut_with_an_ellipsis() -> None:
    assert safe_text("x" * 1000) == "x" * (NAME_LIMIT - 1) + "…"
    assert len(safe_message("x" * 10_000)) == MESSAGE_LIMIT
    assert safe_text("x" * NAME_LIMIT) == "x" * NAME_LIMIT


@given(st.text(alphabet=st.characters(), max_size=300))
def test_nothing_that_moves_a_cursor_gets_through(text: str) -> None:
    shown = safe_text(text)

    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in shown)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=100))
def test_escaped_json_means_the_same_and_shows_nothing_hidden(text: str) -> None:
    escaped = safe_json(json.dumps({"t": text}, ensure_ascii=False))

    assert json.loads(escaped) == {"t": text}
    assert not any(chr(code) in escaped for code in HIDDEN)
