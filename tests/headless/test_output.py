"""What commands print: plain tables, versioned JSON, harmless text."""

import json

import pytest

from wicket_tui.headless import output
from wicketd.api.errors import ErrorBody
from wicketd.api.types.policies import Problem

PROBLEM = Problem(
    severity="error",
    code="syntax",
    message="Expected `;`.",
    start=3,
    end=4,
    line=2,
    col=1,
    statement=1,
    approximate=False,
    fix=";",
)


def test_columns_are_aligned_without_trailing_blanks() -> None:
    text = output.table(("name", "n"), [("long name", 1), ("x", None)])

    assert text == "NAME       N\nlong name  1\nx          -"


def test_an_empty_list_shows_its_heads() -> None:
    assert output.table(("a", "b"), []) == "A  B"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        ((), "-"),
        ({}, "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (("a", "b"), "a,b"),
        ({"read": 2}, "read=2"),
        ("\x1b[2J", "\\x1b[2J"),
        ("[red]x[/red]", "[red]x[/red]"),
    ],
)
def test_a_cell_says_what_there_is(value: object, shown: str) -> None:
    assert output.cell(value) == shown


def test_json_is_versioned_and_shows_nothing_hidden() -> None:
    text = output.document({"name": "a\x1b\u202e"})

    assert json.loads(text) == {"version": 1, "result": {"name": "a\x1b\u202e"}}
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n" not in output.json_line({"a": "b\n"})


def test_a_failure_names_findings_and_the_next_step() -> None:
    body = ErrorBody(
        code="invalid",
        message="The policy has errors.",
        hint="Correct them.",
        details=(
            {"line": 2, "col": 5, "severity": "error", "code": "syntax", "message": "Odd \x07."},
            {"line": 3, "col": 1, "code": "syntax", "message": "Open.", "fix": ";\x1b"},
            {"current": 3},
        ),
    )

    assert output.failure(body, as_json=False) == (
        "The policy has errors.\n  2:5 error[syntax] Odd \\x07.\n"
        "  3:1 error[syntax] Open. Fix: ;\\x1b\n  current=3\nCorrect them."
    )
    assert json.loads(output.failure(body, as_json=True))["error"]["code"] == "invalid"


def test_a_problem_is_one_line() -> None:
    assert output.finding(PROBLEM) == "2:1 error[syntax] Expected `;`. Fix: ;"


def test_facts_are_aligned() -> None:
    assert output.facts((("a", 1), ("long", None))) == "a     1\nlong  -"
