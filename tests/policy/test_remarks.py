"""Warnings by themselves; one policy per code stands in test_checker."""

from wicketd.policy import engine, remarks
from wicketd.policy.checks import Scope
from wicketd.policy.diagnose import Place
from wicketd.policy.lexer import Span


def test_without_the_names_of_an_agent_nothing_is_said_of_tools_and_people() -> None:
    text = 'forbid (principal in Wicket::Group::"x", action, resource is Wicket::Tool);'
    (facts,) = engine.facts_of(text)
    place = Place(text, Span(0, len(text)), 1)
    assert remarks.run([(place, facts)], Scope({})) == []


def test_a_remark_never_stands_in_the_way_of_a_save() -> None:
    text = "permit (principal, action, resource);"
    (facts,) = engine.facts_of(text)
    (found,) = remarks.run([(Place(text, Span(0, len(text)), 1), facts)], Scope({}))
    assert found.severity == "warning"
