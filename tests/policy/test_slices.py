"""Which statements an action selects, and what they become in a list (policy spec, 3.1 and 8)."""

from typing import Any

import pytest

from tests.support.policies import make_record, world
from wicketd.domain.ids import MemberId
from wicketd.domain.policies import Mode
from wicketd.policy import slices
from wicketd.policy.slices import listing_scope, scoped_actions, sure_forbids, uid_of

FORBID = "forbid (principal, action, resource);"
ALL: dict[str, Any] = {"op": "All"}
TOOL, REPO = "Wicket::Tool", "GitHubMCP::Repository"


def service(key: str) -> dict[str, Any]:
    return {"op": "in", "entity": {"type": "Wicket::Service", "id": key}}


def kind(name: str, key: str | None = None) -> dict[str, Any]:
    inner = {"in": {"entity": service(key)["entity"]}} if key else {}
    return {"op": "is", "entity_type": name, **inner}


@pytest.mark.parametrize(
    ("scope", "types", "expected"),
    [
        (ALL, [TOOL], ALL),
        (service("github"), [REPO], ALL),
        (service("slack"), [REPO], None),
        (kind(REPO), [REPO], ALL),
        (kind(TOOL), [REPO], None),
        (kind(TOOL), [REPO, TOOL], kind(TOOL)),
        (kind(REPO, "github"), [REPO], ALL),
        (kind(REPO, "slack"), [REPO], None),
        (kind(REPO, "github"), [REPO, TOOL], kind(REPO)),
        ({"op": "==", "entity": {"type": REPO, "id": "a/b"}}, [REPO], "same"),
        ({"op": "in", "entity": {"type": "GitHubMCP::Owner", "id": "a"}}, [REPO], "same"),
    ],
)
def test_what_holds_of_every_resource_is_decided(
    scope: dict[str, Any], types: list[str], expected: object
) -> None:
    found = listing_scope(scope, "github", types)
    assert found == (scope if expected == "same" else expected)


def test_action_scopes_name_their_actions() -> None:
    one: Any
    two: Any
    one, two = {"type": "A", "id": "x"}, {"type": "A", "id": "y"}
    assert scoped_actions({"op": "All"}) is None
    assert scoped_actions({"op": "==", "entity": one}) == frozenset({("A", "x")})
    assert scoped_actions({"op": "in", "entities": [one, two]}) == frozenset(
        {("A", "x"), ("A", "y")}
    )


@pytest.mark.parametrize(
    "scope", [{"op": "=="}, {"op": "in", "entities": 3}, {"op": "in", "slot": "?"}]
)
def test_a_scope_of_unknown_form_is_refused(scope: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        scoped_actions(scope)
    with pytest.raises(TypeError):
        uid_of({"type": 1, "id": "x"})


def test_forbids_that_are_sure_are_enforced_of_this_scope_and_read_no_call() -> None:
    conditioned = FORBID[:-1] + " when { context.time.hour > 3 };"
    statements = (
        world()
        .snapshot(
            make_record(f'@id("a") {FORBID}', "kept"),
            make_record(FORBID.replace("forbid", "permit"), "permit"),
            make_record(FORBID, "watched", mode=Mode.SHADOW),
            make_record(conditioned, "conditioned"),
            make_record(f'@id("b") {FORBID}', "of-ann", scope="ann"),
        )
        .statements
    )
    agent = f'@id("a") {FORBID}'
    assert sure_forbids(statements, None, None) == [agent]
    assert sure_forbids(statements, MemberId("ann"), None) == [agent, f'@id("b") {FORBID}']
    assert sure_forbids(statements, MemberId("bob"), "kept") == []
    assert len(sure_forbids(statements[1:2] * 300, None, None)) == slices.MAX_FORBIDS
