"""A Cedar text as the editor sees it: places, colours, and problems found without the daemon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicket_tui.source import Source, errors, moved, place_after, visible
from wicketd.policy import lexer

TEXTS = st.text(alphabet='ab1 "\\\n@:;=(){}[]/.é\t', max_size=60)


@given(TEXTS)
def test_every_offset_has_its_place_and_back(text: str) -> None:
    source = Source(text)
    assert [source.offset(source.place(at)) for at in range(len(text) + 1)] == list(
        range(len(text) + 1)
    )


@given(TEXTS)
def test_lines_are_coloured_as_the_whole_text_is_lexed(text: str) -> None:
    source = Source(text)
    strings = {at for one in lexer.lex(text) if one.kind == "string" for at in range(*one[2:])}
    shown = {
        source.offset((line, column))
        for line in range(text.count("\n") + 1)
        for shade in source.shades(line)
        if shade.kind == "string"
        for column in range(shade.start, shade.end)
    }
    assert shown == strings


def test_words_are_coloured_by_what_they_are() -> None:
    text = '@id("a") permit (principal is A::B, action, resource) when { context.when == 1 };//c'
    kinds = {text[one.start : one.end]: one.kind for one in Source(text).shades(0)}
    assert kinds["permit"] == "keyword"
    assert kinds["id"] == kinds["@"] == "annotation"
    assert kinds["A"] == kinds["B"] == "type"
    assert kinds["principal"] == kinds["context"] == "variable"
    assert kinds["1"] == "number"
    assert kinds["//c"] == "comment"
    assert [one.kind for one in Source(text).shades(0)].count("keyword") == 2 + 1


@pytest.mark.parametrize(
    ("text", "line", "col"),
    [
        ('permit (\n"open', 2, 1),
        ("permit (principal, action, resource;", 1, 8),
        ("permit (a])", 1, 10),
        ("permit (a));", 1, 11),
    ],
)
def test_open_strings_and_brackets_are_found_at_once(text: str, line: int, col: int) -> None:
    first = Source(text).problems()[0]
    assert (first.line, first.col, first.severity) == (line, col, "error")
    assert errors(Source(text).problems()) >= 1


def test_a_whole_text_has_no_problem_of_its_own() -> None:
    assert (
        Source('permit (principal, action, resource) when { "a;(" == "b" }; // (').problems() == ()
    )


def test_a_text_too_large_says_only_that() -> None:
    assert [one.code for one in Source("(" * 70_000).problems()] == ["too_large"]


def test_marks_move_with_what_they_mean() -> None:
    problem = Source("a (").problems()[0]
    (later,) = moved([problem], Source("ab\nc ("), at=1, by=3)
    assert (later.line, later.col, later.start) == (2, 3, 5)
    assert moved([problem], Source("a"), at=1, by=-3) == ()


def test_what_hides_is_written_as_an_escape() -> None:
    assert visible("a\x1b[31m\u202e\u200b\r\nb\x85\U000e0041\t") == (
        "a\\u{1b}[31m\\u{202e}\\u{200b}\r\nb\\u{85}\\u{e0041}\t"
    )


def test_a_cursor_stays_in_its_token() -> None:
    old, new = "permit(principal,action,resource);", "permit (\n  principal,\n  action,\n"
    at = old.index("action") + 2
    assert new[place_after(old, at, new) - 2 :].startswith("action")
    assert place_after("", 0, "permit") == 0
