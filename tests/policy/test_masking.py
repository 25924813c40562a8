"""Where type errors hold: the named identifier of 9 in 10, in misspelt real policies (9.3)."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.broken_policies import Misspelt, misspelt, statements
from tests.support.policies import github, ops, two_services
from tests.support.recipes import GITHUB, SLACK
from wicketd.domain.catalogue import ServiceView
from wicketd.domain.policies import Problem
from wicketd.policy import checker, engine, masking
from wicketd.policy.checks import Scope
from wicketd.policy.names import tree
from wicketd.policy.schema import render

HANDLE = engine.parse_schema(two_services().text)
HEAD = "principal, action, resource"
RUN = 'principal, action == OpsMCP::Action::"deploy.run", resource'
TEXTS = [
    f"forbid ({HEAD}) when {{ context.time.hour < 9 || context.session.denials >= 3 }};",
    f'permit ({HEAD}) when {{ principal.role == "owner" && principal.tags.contains("x") }};',
    f'permit ({RUN}) when {{ context.input has env && context.input.env == "prod" }};',
    f'permit ({RUN}) when {{ context.input has options && context.input.options has "if" }};',
    f'forbid ({HEAD}) unless {{ context.network.ip.isInRange(ip("10.0.0.0/8")) }};',
    (
        'forbid (principal is Wicket::Member, action in [OpsMCP::Action::"status", '
        'OpsMCP::Action::"db-query"], resource in Wicket::Service::"ops");'
    ),
    'permit (principal in Wicket::Group::"g", action == Wicket::Action::"read", resource);',
]
BEFORE = f"permit ({HEAD}) when {{ context.time.hour > 1 }};\n"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Statements that validate under the schema of some services."""

    views: tuple[ServiceView, ...]
    statements: tuple[str, ...]

    def refused(self) -> Iterator[tuple[Misspelt, list[Problem]]]:
        """Each misspelt statement that parses and does not validate, behind a sound one."""
        schema = render(self.views)
        handle = engine.parse_schema(schema.text)
        scope = Scope.of("agent", schema, may_permit=True, names=tree(schema, self.views))
        for one in (wrong for text in self.statements for wrong in misspelt(text)):
            if engine.parse_error(one.text) is None and engine.validate(one.text, handle):
                found = checker.check(handle, BEFORE + one.text, scope)
                yield one, [problem for problem in found if problem.severity == "error"]


PUBLISHED = tuple(one for one in statements() if "Wicket::Group" not in one)


@pytest.mark.parametrize(
    ("corpus", "at_least"),
    [(Corpus((ops(), github()), tuple(TEXTS)), 30), (Corpus((GITHUB, SLACK), PUBLISHED), 60)],
    ids=["written", "published"],
)
def test_the_wrong_name_is_marked_in_nine_of_ten_and_its_statement_in_all(
    corpus: Corpus, at_least: int
) -> None:
    cases, misses = 0, []
    for wrong, found in corpus.refused():
        text = BEFORE + wrong.text
        cases += 1
        assert {one.statement for one in found} == {2}, text
        exact = {text[one.start : one.end] for one in found if not one.approximate}
        misses += [(wrong, exact)] if exact.isdisjoint(wrong.marks) else []
    assert cases >= at_least
    assert len(misses) <= 0.1 * cases, misses


@pytest.mark.parametrize(
    ("condition", "marked", "approximate"),
    [
        ('context.time.hour < "9"', '"9"', False),
        ('principal.tags == "x"', 'principal.tags == "x"', False),
        ("context.time.hour > 1 && principal.tags", "principal.tags", True),
        ("principal.rank == 1 && context.time.hour > 1", "rank", False),
        ('ip("::1").isIpv4(1)', "isIpv4", False),
        ("[].contains(1)", "[]", False),
        ('decimal("1.23456").lessThan(decimal("1.0"))', '"1.23456"', False),
    ],
)
def test_each_kind_of_message_has_its_place(condition: str, marked: str, approximate: bool) -> None:
    text = f"permit ({HEAD}) when {{ {condition} }};"
    messages = engine.validate(text, HANDLE)
    found = masking.locate(text, messages[0], messages, lambda one: engine.validate(one, HANDLE))
    assert text[found.span.start : found.span.end] == marked
    assert found.approximate is approximate


def test_a_head_that_fits_nothing_is_marked_as_a_whole() -> None:
    text = 'permit (principal, action == OpsMCP::Action::"status", resource is Wicket::Prompt);'
    messages = engine.validate(text, HANDLE)
    found = masking.locate(text, messages[0], messages, lambda one: engine.validate(one, HANDLE))
    assert text[found.span.start : found.span.end] == text[7:-1]


@pytest.mark.parametrize(("operands", "asked", "approximate"), [(64, 64, False), (65, 64, True)])
def test_at_most_64_operands_are_masked_and_beyond_them_no_place_is_sure(
    operands: int, asked: int, approximate: bool
) -> None:
    sound = " || ".join(f"context.time.hour == {n}" for n in range(operands - 1))
    text = f'permit ({HEAD}) when {{ principal.tags == "x" || {sound} }};'
    questions: list[str] = []

    def ask(changed: str) -> list[str]:
        questions.append(changed)
        return engine.validate(changed, HANDLE)

    messages = engine.validate(text, HANDLE)
    found = masking.locate(text, messages[0], messages, ask)
    assert len(questions) == asked
    assert found.approximate is approximate
