"""Which names are meant; that the fixes mend is proven in test_checker."""

import pytest

from tests.support.policies import github, ops, two_services
from wicketd.policy import hints
from wicketd.policy.bisection import Located
from wicketd.policy.lexer import Span
from wicketd.policy.names import tree

NAMES = tree(two_services(), [github(), ops()])


@pytest.mark.parametrize(
    ("code", "marked", "message", "fix"),
    [
        ("unknown_action", 'OpsMCP::Action::"statsu"', "", 'OpsMCP::Action::"status"'),
        ("unknown_action", 'OpsMPC::Action::"status"', "", 'OpsMCP::Action::"status"'),
        ("unknown_action", 'OpsMCP::Action::"entirely_different"', "", None),
        ("unknown_type", "Wicket::Grup", "", "Wicket::Group"),
        ("unknown_type", "Wicket::Robot", "", None),
        ("unknown_type", 'Wicket::Grup::"a"', "", 'Wicket::Group::"a"'),
        (
            "unknown_attribute",
            "rol",
            "attribute `rol` on entity type `Wicket::Member` not found",
            "role",
        ),
        (
            "unknown_attribute",
            "max_rows",
            'attribute `input.max_rows` in context for OpsMCP::Action::"db-query" not found',
            None,
        ),
    ],
)
def test_a_near_name_becomes_the_fix(code: str, marked: str, message: str, fix: str | None) -> None:
    spot = Located(Span(0, len(marked)))
    found, _ = hints.hint(marked, code, [message], spot, NAMES)
    assert found.fix == fix


def test_an_approximate_place_gets_no_fix() -> None:
    marked = 'OpsMCP::Action::"statsu"'
    spot = Located(Span(0, len(marked)), approximate=True)
    assert hints.hint(marked, "unknown_action", [""], spot, NAMES) == (spot, None)
