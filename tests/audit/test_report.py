"""Exit codes and wording of a verification."""

import msgspec
import pytest

from wicketd.audit import report
from wicketd.audit.report import UNPROVEN, Finding, Problem, Report


def of(*problems: Problem) -> Report:
    findings = tuple(Finding(problem, problem.value, 5) for problem in problems)
    return Report(findings, 0, 9, 9, bytes(32), 9, 0, (), ())


@pytest.mark.parametrize("problem", Problem)
def test_each_problem_has_the_exit_code_of_its_kind(problem: Problem) -> None:
    code = 2 if problem in UNPROVEN else 1
    assert of(problem).exit_code() == of(problem).exit_code(strict=True) == code


def test_tampering_outweighs_what_could_not_be_checked() -> None:
    assert of(Problem.NO_KEY, Problem.ALTERED).exit_code() == 1


@pytest.mark.parametrize(
    "loose",
    [
        Report((), 0, 9, 9, bytes(32), 8, 0, (), ()),
        Report((), 0, 9, 9, bytes(32), 9, 1, (), ()),
        Report((), 0, 9, 9, bytes(32), 9, 0, (3,), ()),
    ],
    ids=["tail", "open intent", "restore"],
)
def test_strict_refuses_tail_open_intent_and_restore(loose: Report) -> None:
    assert (loose.exit_code(), loose.exit_code(strict=True)) == (0, 1)
    assert loose.lines(strict=True)[0] == "The log is NOT whole."


def test_what_cannot_be_read_is_not_ok() -> None:
    found = report.unreadable("The database cannot be opened. Check its path.")
    assert found.exit_code() == 2
    assert found.first_bad_seq is None
    assert "Check its path." in found.lines()[1]


def test_the_facts_are_json_with_the_first_bad_row() -> None:
    facts = of(Problem.ALTERED).facts()
    assert msgspec.json.decode(msgspec.json.encode(facts)) == facts
    assert (facts["exit"], facts["firstBadSeq"], facts["tail"]) == (1, 5, 0)
