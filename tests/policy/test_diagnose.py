"""Engine messages to problems with positions."""

import pytest

from wicketd.policy import diagnose
from wicketd.policy.diagnose import Place
from wicketd.policy.lexer import Span

TEXT = "permit (principal, action, resource)\nwhen { context.a == context.b };"


def unasked(statement: str) -> list[str]:
    """A validator with nothing to say: masking finds no operand."""
    return []


PLACE = Place(TEXT, Span(0, len(TEXT)), 1)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("for policy `policy0`, unrecognized action `x`", "unknown_action"),
        ("for policy `policy0`, unrecognized entity type `x`", "unknown_type"),
        ("attribute `x` on entity type `y` not found", "unknown_attribute"),
        ("unable to guarantee safety of access to optional attribute `x`", "unguarded_attribute"),
        ("unable to find an applicable action given the scope", "never_applies"),
        ("empty set literals are forbidden in policies", "empty_list"),
        ("error during extension function argument validation: x", "bad_literal"),
        ("wrong number of arguments in extension function application", "call_shape"),
        ("the types A and B are not compatible", "type_mismatch"),
    ],
)
def test_each_message_has_its_code(message: str, code: str) -> None:
    assert diagnose.code_of(message) == code


def test_a_name_that_stands_once_is_marked() -> None:
    found = diagnose.of_validation(PLACE, ["attribute `b` not found"], unasked)[0]
    assert (TEXT[found.start : found.end], found.line, found.col) == ("b", 2, 29)
    assert not found.approximate


def test_a_name_that_stands_twice_marks_what_may_hold_it() -> None:
    found = diagnose.of_validation(PLACE, ["attribute `context` not found"], unasked)[0]
    assert TEXT[found.start : found.end] == "context.a == context.b"
    assert found.approximate


def test_an_unknown_name_hides_the_consequence_that_nothing_applies() -> None:
    messages = ["unrecognized action `x`", "unable to find an applicable action"]
    assert [one.code for one in diagnose.of_validation(PLACE, messages, unasked)] == [
        "unknown_action"
    ]
