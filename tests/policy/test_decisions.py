"""How an engine's answer becomes a verdict (policy spec, 3.4), without an engine."""

from dataclasses import replace

import pytest

from tests.support.policies import make_record
from wicketd.domain.policies import Effect, Reason, StatementFacts
from wicketd.policy.decisions import NO_STAMP, Verdict, clipped, compare, decision, denial, judge
from wicketd.policy.slices import Statement, statement

FACTS = StatementFacts(
    Effect.PERMIT, {}, {"op": "All"}, {"op": "All"}, {"deny_message": "no"}, 0, 1
)
PERMIT = statement(make_record("x"), 1, FACTS)
FORBID = statement(make_record("x"), 2, replace(FACTS, effect=Effect.FORBID))
KNOWN: dict[str, Statement] = {"policy0": PERMIT, "policy1": FORBID}


@pytest.mark.parametrize(
    ("answer", "reasons", "errors", "expected"),
    [
        ("Allow", ["policy0"], [], Reason.PERMITTED),
        ("Deny", ["policy1"], [], Reason.FORBIDDEN),
        ("Deny", [], [], Reason.NO_PERMIT),
        ("Allow", ["policy0"], ["oops"], Reason.ENGINE_ERROR),
        ("Deny", ["policy1"], ["oops"], Reason.ENGINE_ERROR),
        ("NoDecision", [], [], Reason.ENGINE_ERROR),
        ("Perhaps", [], [], Reason.ENGINE_ERROR),
        ("Allow", ["policy7"], [], Reason.ENGINE_ERROR),
        ("Allow", ["policy0", "policy7"], [], Reason.ENGINE_ERROR),
        ("Deny", ["policy7"], [], Reason.ENGINE_ERROR),
        ("Allow", [], [], Reason.ENGINE_ERROR),
        ("Allow", ["policy1"], [], Reason.ENGINE_ERROR),
        ("Deny", ["policy0"], [], Reason.ENGINE_ERROR),
    ],
)
def test_only_a_plain_allow_allows(
    answer: str, reasons: list[str], errors: list[str], expected: Reason
) -> None:
    verdict = judge(answer, reasons, errors, KNOWN)
    assert verdict.reason is expected
    assert decision(NO_STAMP, verdict).allow is (expected is Reason.PERMITTED)


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.PERMITTED])
def test_every_other_reason_denies(reason: Reason) -> None:
    assert not decision(NO_STAMP, Verdict(reason)).allow


def test_a_denial_without_snapshot_carries_no_stamp() -> None:
    made = denial(Reason.SNAPSHOT_MISSING)
    assert (made.allow, made.reason) == (False, Reason.SNAPSHOT_MISSING)
    assert made.schema_sha256 == NO_STAMP.schema_sha256


def test_only_forbids_bring_their_message() -> None:
    assert judge("Deny", ["policy1"], [], KNOWN).deny_messages == ("no",)
    assert judge("Allow", ["policy0"], [], KNOWN).deny_messages == ()


def test_errors_are_bounded() -> None:
    found = clipped(["x" * 900] * 20)
    assert (len(found), len(found[0])) == (8, 500)


@pytest.mark.parametrize(
    ("now", "then", "flip"),
    [
        (Reason.PERMITTED, Reason.FORBIDDEN, "allow_deny"),
        (Reason.NO_PERMIT, Reason.PERMITTED, "deny_allow"),
        (Reason.NO_PERMIT, Reason.FORBIDDEN, None),
    ],
)
def test_a_flip_names_its_direction(now: Reason, then: Reason, flip: str | None) -> None:
    assert compare(Verdict(now), Verdict(then)).flip == flip
