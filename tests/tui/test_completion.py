"""What is offered where, and that what is offered exists (policy spec, 9.5)."""

import time

import pytest

from tests.support.policies import github, ops, two_services
from wicket_tui.completion import Candidate, complete
from wicketd.admin import names_mapping
from wicketd.policy import engine
from wicketd.policy.names import tree
from wicketd.services.policies import Nameable

SCHEMA = two_services()
HANDLE = engine.parse_schema(SCHEMA.text)
NAMES = names_mapping.tree(
    Nameable(SCHEMA, tree(SCHEMA, [github(), ops()]), ("a@example.com",), ("team",), ())
)
RUN = 'permit (principal, action == OpsMCP::Action::"deploy.run", resource) when { '
ALL = "permit (principal, action, resource) when { "


def offered(text: str) -> list[Candidate]:
    """At the `|` of a text."""
    return complete(text.replace("|", ""), text.index("|"), NAMES)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("|", ["forbid", "permit"]),
        ("@|", ["deny_message", "id"]),
        ("permit (|", ["principal"]),
        ("permit (principal, |", ["action"]),
        ("permit (principal |", ["==", "in", "is"]),
        ("permit (principal == |", ["a@example.com", "team"]),
        ("permit (principal, action, resource in |", ["github", "ops"]),
        ("permit (principal, action, resource) |", [";", "unless", "when"]),
        (f"{ALL}context.time.h|", ["hour"]),
        (f"{ALL}principal.|", ["email", "role", "tags"]),
        (f"{ALL}principal.role == |", ["member", "owner"]),
        (f"{ALL}context.session.tools.isE|", ["isEmpty"]),
        (f"{RUN}context.input has |", ["budget", "env", "hosts", "options"]),
        (f"{RUN}context.input.options.|", ["dry_run", "if"]),
        ('permit (principal, action in [OpsMCP::Action::"status", dep|', ["deploy.run"]),
        ("permit (principal, action, resource); // wh|", []),
    ],
)
def test_each_place_has_its_candidates(text: str, labels: list[str]) -> None:
    assert [one.label for one in offered(text)] == labels


def test_tools_come_with_their_tier_safest_first() -> None:
    found = [one for one in offered("permit (principal, action == |") if one.kind == "tool"]
    assert [one.detail for one in found] == sorted(
        (one.detail for one in found), key=("read", "write", "destructive").index
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("permit (principal == |", ", action, resource);"),
        ("permit (principal, action == |", ", resource);"),
        ("permit (principal, action in [|", "], resource);"),
        ("permit (principal is |", ", action, resource);"),
        (f"{ALL}context.time.|", " == context.time.hour };"),
        (f"{RUN}context.input has |", " };"),
        (f"{RUN}context.input has options && context.input.options.|", " == true };"),
        (f"{ALL}principal.|", ' == "x" };'),
    ],
)
def test_an_inserted_candidate_never_adds_an_unknown_name(before: str, after: str) -> None:
    text = before.replace("|", "")
    for one in offered(before):
        if one.kind == "method":
            continue
        whole = text[: one.start] + one.insert + text[one.end :] + after
        assert engine.parse_error(whole) is None, whole
        said = engine.validate(whole, HANDLE)
        assert not [line for line in said if "unrecognized" in line or "not found" in line], whole


def test_any_prefix_of_a_policy_is_answered() -> None:
    text = f'@id("a") {RUN}context.input["max-rows"] == 3 && [1].contains(2) }};'
    for end in range(len(text) + 1):
        assert all(one.start <= end == one.end for one in complete(text[:end], end, NAMES))


def test_a_long_text_is_completed_in_time() -> None:
    text = f"{ALL}true }};\n" * 200 + f"{ALL}context."
    started = time.thread_time()
    assert complete(text, len(text), NAMES)
    assert time.thread_time() - started < 0.2
