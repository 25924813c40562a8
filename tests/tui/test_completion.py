"""What is offered where, and that what is offered exists (policy spec, 9.5)."""

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.editing import HANDLE, NAMES, any_text
from wicket_tui.completion import Candidate, complete
from wicketd.api.types.names import Names
from wicketd.policy import engine

RUN = 'permit (principal, action == OpsMCP::Action::"deploy.run", resource) when { '
ALL = "permit (principal, action, resource) when { "
STATEMENTS = ["forbid", "permit"]
RECIPES = [
    "block-destructive",
    "business-hours",
    "circuit-breaker",
    "date-window",
    "network",
    "per-member",
    "read-only",
]


def offered(text: str) -> list[Candidate]:
    """At the `|` of a text."""
    return complete(text.replace("|", ""), text.index("|"), NAMES)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (" |", [*STATEMENTS, *RECIPES]),
        ("@|", ["deny_message", "id"]),
        ("permit (|", ["principal"]),
        ("permit (principal, |", ["action"]),
        ("permit (principal |", ["==", "in", "is"]),
        ("permit (principal == |", ["a@example.com", "team"]),
        ("permit (principal, action, resource in |", ["acme", "acme/api", "github", "ops"]),
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


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (f"{ALL}resource in |", ["acme", "acme/api", "github", "ops"]),
        (f'{ALL}resource == GitHubMCP::Repository::"ac|', ["acme/api"]),
        (f"{ALL}principal in Wicket::Gr|", ["team"]),
        (f'{ALL}principal in [Wicket::Member::"a|', ["a@example.com"]),
        (f"{ALL}principal.tags.contains(on|", ["on-call"]),
        (f'{ALL}context.session.tools.contains("ops__st|', ["ops__status"]),
        (f"{ALL}context.time.weekday == Mon|", ["Monday"]),
        (f"{RUN}context.input.options.dry_run == |", ["false", "true"]),
        (f"{ALL}resource.tier == |", ["read", "write", "destructive"]),
    ],
)
def test_the_right_side_has_values_of_the_left(text: str, labels: list[str]) -> None:
    values = [one.label for one in offered(text) if one.kind not in {"variable", "method"}]
    assert sorted(values) == sorted(labels)


def attributes(text: str) -> set[str]:
    return {one.label for one in offered(text) if one.kind == "attribute"}


def test_attributes_are_narrowed_by_scope_is_and_has() -> None:
    assert attributes(f"{ALL}context.input.|") > {"env", "sql", "query"}
    read = 'permit (principal, action in Wicket::Action::"read", resource) when { '
    assert "env" not in attributes(f"{read}context.input.|")
    service = 'permit (principal, action, resource in Wicket::Service::"ops") when { '
    assert "query" not in attributes(f"{service}context.input.|")
    assert attributes(f"{ALL}context.input has sql && context.input.|") == {"sql", "max-rows"}
    either = f"{ALL}context.input has sql || context.input."
    found = {one.label for one in complete(either, len(either), NAMES)}
    assert found == attributes(f"{ALL}context.input.|")
    assert "tier" in attributes(f"{ALL}resource.|")
    assert attributes(f"{ALL}resource is GitHubMCP::Repository && resource.|") == {"name", "owner"}
    scoped = "permit (principal, action, resource is GitHubMCP::Repository) when { "
    assert attributes(f"{scoped}resource.|") == {"name", "owner"}


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("context.input.sq|", "context.input has sql && context.input.sql"),
        ("true && (context.input.sq|", "true && (context.input has sql && context.input.sql"),
        (
            "context.input has sql && context.input.sq|",
            "context.input has sql && context.input.sql",
        ),
        (
            "context.input.max|",
            'context.input has "max-rows" && context.input["max-rows"]',
        ),
        (
            "context.input.options.dry|",
            (
                "context.input has options && context.input.options has dry_run "
                "&& context.input.options.dry_run"
            ),
        ),
        ("resource.tie|", "resource has tier && resource.tier"),
        ("1 == context.input.sq|", "1 == context.input.sql"),
        ("ip(context.input.sq|", "ip(context.input.sql"),
        ("!context.input.sq|", "!context.input.sql"),
        ("context.time.hou|", "context.time.hour"),
    ],
)
def test_what_may_be_absent_comes_behind_its_guard(text: str, whole: str) -> None:
    before = f"{ALL}{text}"
    (one, *_) = [each for each in offered(before) if each.kind == "attribute"]
    plain = before.replace("|", "")
    assert plain[: one.start] + one.insert == f"{ALL}{whole}"


@pytest.mark.parametrize("end", [" == 1 };", " };"])
def test_an_inserted_attribute_is_never_unguarded(end: str) -> None:
    paths = ("context.input.", "context.input.options.", "resource.", "context.", "principal.")
    for path in paths:
        before = f"{ALL}{path}"
        for one in offered(f"{before}|"):
            if one.kind == "attribute":
                said = engine.validate(before[: one.start] + one.insert + end, HANDLE)
                wrong = [line for line in said if "not found" in line or "optional" in line]
                assert not wrong, (one.insert, wrong)


def test_snippets_are_statements_without_problems() -> None:
    found = [one for one in offered("|") if one.kind == "snippet"]
    assert [one.label for one in found] == RECIPES
    for one in found:
        assert engine.parse_error(one.insert) is None
        assert engine.validate(one.insert, HANDLE) == []
    bare = Names(services=(), types=(), context=(), tools=(), members=(), groups=(), tags=())
    few = [one.label for one in complete("", 0, bare) if one.kind == "snippet"]
    assert few == ["block-destructive", "circuit-breaker", "network"]


def test_what_the_policy_uses_already_comes_first() -> None:
    used = f"{ALL}context.session.denials > 1 }};\n{ALL}context.session.|"
    assert offered(used)[0].label == "denials"


@given(any_text(), st.integers(-5, 400))
def test_any_text_at_any_offset_is_answered(text: str, offset: int) -> None:
    for one in complete(text, offset, NAMES):
        assert 0 <= one.start <= one.end <= len(text)
        assert "\n" not in one.label + one.help


def test_any_prefix_of_a_policy_is_answered() -> None:
    text = f'@id("a") {RUN}context.input["max-rows"] == 3 && [1].contains(2) }};'
    for end in range(len(text) + 1):
        assert all(one.start <= end == one.end for one in complete(text[:end], end, NAMES))


def test_a_long_text_is_completed_in_time() -> None:
    """64 KiB and 320 tools take 20 ms; a loaded machine gets the fivefold."""
    tools = tuple(
        msgspec.structs.replace(one, name=f"{one.name}{number}")
        for number in range(64)
        for one in NAMES.tools[:5]
    )
    names = msgspec.structs.replace(NAMES, tools=tools)
    text = f"{ALL}true }};\n" * 1200 + f"{ALL}context.input."
    assert complete(text, len(text), names)
    best = min(timed(text, names) for _ in range(5))
    assert best < 0.1


def timed(text: str, names: Names) -> float:
    """Seconds of CPU that one completion takes."""
    started = time.thread_time()
    assert complete(text, len(text), names)
    return time.thread_time() - started
