"""The session's tools reach the engine only where a statement could read them (E11)."""

from dataclasses import replace

import pytest

from tests.support.policies import World, world
from wicketd.domain.policies import Reason
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import decisions, engine

TOOLS = ("ops__status", "github__search_code")
PERMIT_ALL = "permit (principal, action, resource);"
WHEN = "forbid (principal, action, resource) when { %s };"
NAMING = (
    'context.session.tools.contains("ops__status")',
    'context.session["tools"].contains("ops__status")',
    "!context.session.tools.isEmpty()",
    """context.session == { "calls": 5, "denials": 1, "ageSeconds": 7,
    "tools": ["ops__status", "github__search_code"] }""",
)
INDIFFERENT = (
    "context.session.calls > 9",
    "context.session.denials == 1",
    "context.session == context.session",
    "[context.session].contains(context.session)",
    "context == context",
)


def used() -> World:
    return replace(world(), facts=SessionFacts(5, 1, TOOLS, 7))


@pytest.mark.parametrize("condition", NAMING)
def test_a_statement_that_names_the_tools_sees_them(condition: str) -> None:
    snapshot = used().snapshot(PERMIT_ALL, WHEN % condition)

    assert engine.decide(snapshot, used().request("ops", "status")).reason is Reason.FORBIDDEN
    assert engine.decide(snapshot, world().request("ops", "status")).reason is Reason.PERMITTED


@pytest.mark.parametrize("condition", INDIFFERENT)
@pytest.mark.requirement("E11")
def test_where_no_statement_names_them_leaving_them_out_decides_alike(condition: str) -> None:
    there = used()
    snapshot = there.snapshot(PERMIT_ALL, WHEN % condition)
    everything = replace(snapshot, names=snapshot.names | {"tools"})
    request = there.request("ops", "status")

    left_out, whole = engine.decide(snapshot, request), engine.decide(everything, request)

    assert replace(left_out, eval_us=0) == replace(whole, eval_us=0)


def test_the_audit_keeps_the_tools_that_the_engine_was_not_sent() -> None:
    there = used()
    snapshot = there.snapshot(PERMIT_ALL)
    request = there.request("ops", "status")
    subject = snapshot.subjects["ops", "status"]

    asked = decisions.question(request, subject, named=snapshot.names)
    kept = engine.decide(snapshot, request).request

    assert isinstance(asked, decisions.Question)
    assert "ops__status" not in str(asked.asked["context"])
    assert kept is not None
    assert kept.context["session"] == {
        "calls": 5,
        "denials": 1,
        "tools": list(TOOLS),
        "ageSeconds": 7,
    }
