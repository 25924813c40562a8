"""The outline of a policy: a line for each statement, whatever its state (policy spec, 9.6)."""

from hypothesis import given

from tests.support.editing import any_text
from wicket_tui.outline import MAX_LABEL, outline
from wicketd.api.types.policies import CheckedStatement, PolicyChecked, TouchedTool
from wicketd.policy import lexer

TEXT = """\
// first
@id("no-deletes") forbid (principal, action in [OpsMCP::Action::"x"], resource);

permit (principal, action == Wicket::Action::"read", resource)
when { context.time.hour > 3 };
broken
"""


def test_each_statement_has_its_label_effect_and_line() -> None:
    found = outline(TEXT)
    assert [(one.number, one.effect, one.line) for one in found] == [
        (1, "forbid", 2),
        (2, "permit", 4),
        (3, "", 6),
    ]
    assert [one.label for one in found] == [
        "no-deletes",
        'permit (principal, action == Wicket::Action::"read", resource)',
        "broken",
    ]
    assert TEXT[found[1].start :].startswith("permit")


def test_a_check_tells_how_many_tools_a_statement_touches() -> None:
    statements = tuple(
        CheckedStatement(number=number, effect="permit", id=None, line=1) for number in (1, 2)
    )
    tool = TouchedTool(service="ops", tool="x", tier="read", statements=(1,))
    known = PolicyChecked(problems=(), statements=statements, touched=(tool,))
    assert [one.touched for one in outline(TEXT, known)] == [1, 0, None]
    costly = PolicyChecked(problems=(), statements=statements, touched=None)
    assert [one.touched for one in outline(TEXT, costly)] == [None, None, None]


def test_an_id_is_shown_harmless() -> None:
    (one,) = outline('@id("a\\u{202e}b\\u{1b}[2J") permit (principal, action, resource);')
    assert not {"\u202e", "\x1b"} & {*one.label}


@given(any_text())
def test_any_text_has_an_outline(text: str) -> None:
    found = outline(text)
    assert len(found) == len(lexer.split(text))
    assert all(len(one.label) <= MAX_LABEL and "\n" not in one.label for one in found)
