"""What the word under the cursor means, and that every text has an answer (policy spec, 9.6)."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.editing import NAMES, any_text
from wicket_tui.hover import Hover, hover
from wicketd.api.types.policies import Problem

RUN = 'permit (principal, action == OpsMCP::Action::"deploy.run", resource) when { '


def explained(text: str) -> Hover:
    """At the `|` of a text."""
    found = hover(text.replace("|", ""), text.index("|"), NAMES)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "title", "line"),
    [
        ("per|mit (principal, action, resource);", "permit", "Allows what matches"),
        ("permit (princ|ipal, action, resource);", "principal", "The member who calls."),
        (f"{RUN}context.ti|me.hour == 3 }};", "context.time", "Record"),
        (f"{RUN}context.time.ho|ur == 3 }};", "context.time.hour", "0 to 23"),
        (f"{RUN}context.input has en|v }};", "context.input.env", "String, may be absent"),
        (f"{RUN}context.session.tools.con|tains(1) }};", "contains", "method of Set<String>"),
        (f"{RUN}|!true }};", "!", "Not."),
        (f"{RUN}i|p(1) }};", "ip", "An address"),
        (
            'permit (principal, action == OpsMCP::Act|ion::"deploy.run", resource);',
            "deploy.run",
            "ops__deploy.run, tier destructive",
        ),
        (
            'permit (principal, action in Wicket::Action::"re|ad", resource);',
            "read",
            "a group of tools",
        ),
        (
            'permit (principal, action == OpsMCP::Action::"no|ne", resource);',
            "none",
            "No tool of OpsMCP",
        ),
        (
            "permit (principal, action, resource is GitHubMCP::Rep|ository);",
            "GitHubMCP::Repository",
            "name: String",
        ),
        (
            'permit (principal == Wicket::Member::"z|z", action, resource);',
            "zz",
            "This agent has none of that name.",
        ),
        ('@i|d("a") permit (principal, action, resource);', "id", "The statement's name"),
    ],
)
def test_a_word_says_what_it_is(text: str, title: str, line: str) -> None:
    found = explained(text)
    assert found.title == title
    assert line in "\n".join(found.lines)


def test_a_word_that_is_no_name_says_nothing() -> None:
    assert hover("permit (nobody, action, resource);", 10, NAMES) is None
    assert hover("", 0, NAMES) is None
    assert hover("// permit", 5, NAMES) is None


def test_an_argument_names_the_tools_that_have_it() -> None:
    found = explained("permit (principal, action, resource) when { context.input has sq|l };")
    assert found.lines[-1] == "1 of 6 tools: db-query"


def test_a_problem_stands_before_the_word_it_is_about() -> None:
    text = "permit (principal, action, resource);"
    whole = Problem(
        severity="warning", code="permits_all", message="It permits all.", start=0, end=37, line=1,
        col=1, statement=1, approximate=True,
    )  # fmt: skip
    narrow = msgspec.structs.replace(
        whole, severity="error", code="x", message="Wrong\x1b[2J", start=8, end=17, col=9,
        approximate=False, fix="action",
    )  # fmt: skip
    found = hover(text, 9, NAMES, (whole, narrow))
    assert found is not None
    assert found.title == "Wrong\\x1b[2J"
    assert found.lines == ("error x, 1:9", "Fix: action", "principal", "The member who calls.")
    far = hover(text, 30, NAMES, (whole, narrow))
    assert far is not None
    assert far.lines[0] == "warning permits_all, somewhere in this statement"


def test_texts_of_servers_are_shown_harmless() -> None:
    evil = tuple(
        msgspec.structs.replace(one, title="\x1b]0;owned\x07", description="ab" * 400 + "\u202e")
        for one in NAMES.tools
    )
    names = msgspec.structs.replace(NAMES, tools=evil)
    text = 'permit (principal, action == OpsMCP::Action::"status", resource);'
    found = hover(text, text.index("status"), names)
    assert found is not None
    shown = "".join((found.title, *found.lines))
    assert not {"\x1b", "\x07", "\u202e"} & {*shown}
    assert max(map(len, found.lines)) <= 300


@given(any_text(), st.integers(-5, 400))
def test_any_text_at_any_offset_is_answered(text: str, offset: int) -> None:
    found = hover(text, offset, NAMES)
    if found is not None:
        assert 0 <= found.start <= found.end <= len(text)
        assert all("\n" not in line for line in (found.title, *found.lines))
