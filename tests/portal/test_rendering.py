"""`portal.rendering`: escaping, visible control characters, moments."""

import re
from importlib import resources

import jinja2
import pytest

from wicketd.portal.rendering import Pages, device, when

AT_MS = 1_795_529_000_000


def error_page(text: str) -> str:
    surroundings = {"visitor": None, "is_complete": False, "csrf": lambda _form: "", "here": None}
    values = {**surroundings, "title": "Title", "text": text}
    return Pages().render("error.html", values).decode()


def test_foreign_text_is_escaped_and_its_hidden_characters_are_shown() -> None:
    html = error_page("<script>alert(1)</script>\u202e\x1b[31m\"'")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}\\x1b[31m&#34;&#39;" in html


def test_a_value_that_a_page_forgot_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        Pages().render("error.html", {"visitor": None, "is_complete": False, "here": None})


def test_no_template_holds_a_script_or_an_inline_style() -> None:
    templates = resources.files("wicketd.portal") / "templates"
    for template in templates.iterdir():
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"<script|\son\w+=|\sstyle=|javascript:|\|\s*safe", text), (
            template.name
        )


def test_the_stylesheet_asks_for_nothing_elsewhere() -> None:
    assert not re.search(rb"url\(|@import", Pages().stylesheet)


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "24 Nov 2026, 14:03 UTC"),
        ("Europe/Berlin", "24 Nov 2026, 15:03 CET"),
        ("No/Where", "24 Nov 2026, 14:03 UTC"),
    ],
)
def test_a_moment_names_its_zone(zone: str, shown: str) -> None:
    assert when(AT_MS, zone) == f'<time datetime="2026-11-24T14:03:20Z">{shown}</time>'


@pytest.mark.parametrize(
    ("user_agent", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/604.1", "Safari on iPhone"),
        (
            "Mozilla/5.0 (Windows NT) Chrome/156.0.0.0 Edg/156.0",
            "Edge on Windows",
        ),
        ("w3m/0.5.3", "w3m/0.5.3"),
        ("Firefox/150.0", "Firefox"),
        ("x" * 200, "x" * 60),
        ("", "Unknown browser"),
    ],
)
def test_a_browser_is_named_as_people_call_it(user_agent: str, shown: str) -> None:
    assert device(user_agent) == shown
