"""Checks before a save: one minimal policy per code (policy spec, 5.2)."""

import pytest

from tests.support.policies import two_services
from wicketd.domain.policies import Problem
from wicketd.policy import engine
from wicketd.policy.checker import check
from wicketd.policy.checks import Scope

SCHEMA = two_services()
HANDLE = engine.parse_schema(SCHEMA.text)
MIXED = 'OpsMCP::Action::"status", Wicket::Action::"read"'
HEAD = "principal, action, resource"
STATUS = 'action == OpsMCP::Action::"status"'
DELETE = 'action == GitHubMCP::Action::"delete_file"'


def problems(text: str, may_permit: bool = True) -> list[Problem]:
    return check(HANDLE, text, Scope.of("agent", SCHEMA, may_permit=may_permit))


CASES = [
    ("too_large", "//" + "x" * 65536, None),
    ("too_nested", f"permit ({HEAD}) when {{ {'(' * 80}true{')' * 80} }};", None),
    ("too_deep", f"permit ({HEAD}) when {{ {' || '.join(['true'] * 600)} }};", None),
    ("bad_character", f"permit ({HEAD}); // \u2028", "\u2028"),
    ("template", "permit (principal == ?principal, action, resource);", "?principal"),
    ("syntax", "", None),
    ("syntax", f"permit ({HEAD}) when {{ true }}", None),
    ("syntax", f'permit ({HEAD}) when {{ "open }};', '"open };'),
    ("syntax", f"permit ({HEAD}) when {{ 1 # 2 }};", "#"),
    ("unknown_action", 'permit (principal, action == OpsMCP::Action::"x", resource);', None),
    ("unknown_type", "permit (principal is Wicket::Robot, action, resource);", "Wicket::Robot"),
    ("unknown_attribute", f"permit ({HEAD}) when {{ principal.rank == 1 }};", "rank"),
    (
        "unguarded_attribute",
        f'permit (principal, {DELETE}, resource) when {{ context.input.path == "x" }};',
        None,
    ),
    ("type_mismatch", f'permit ({HEAD}) when {{ context.time.hour < "9" }};', None),
    ("empty_list", f"permit ({HEAD}) when {{ [].contains(1) }};", None),
    ("bad_literal", f'permit ({HEAD}) when {{ ip("x").isIpv4() }};', '"x"'),
    ("call_shape", f"permit ({HEAD}) when {{ foo(1) }};", "foo"),
    ("call_shape", f'permit ({HEAD}) when {{ ip("::1").isIpv4(1) }};', None),
    ("never_applies", f"permit (principal, {STATUS}, resource is Wicket::Prompt);", None),
    (
        "mixed_types",
        f"permit (principal, action in [{MIXED}], resource);",
        MIXED,
    ),
    ("group_needs_in", 'permit (principal, action == Wicket::Action::"read", resource);', "=="),
    ("group_needs_in", 'permit (principal, action == OpsMCP::Action::"any", resource);', "=="),
    (
        "unknown_entity",
        'permit (principal, action, resource in Wicket::Service::"gthub");',
        'Wicket::Service::"gthub"',
    ),
    (
        "unknown_entity",
        f'permit ({HEAD}) when {{ resource == Wicket::Tool::"ops__nothing" }};',
        'Wicket::Tool::"ops__nothing"',
    ),
    (
        "unknown_entity",
        'permit (principal in Wicket::Agent::"other", action, resource);',
        'Wicket::Agent::"other"',
    ),
    ("duplicate_id", f'@id("a") permit ({HEAD}); @id("a") permit ({HEAD});', "@id"),
    ("duplicate_id", f'@id("a b") permit ({HEAD});', "@id"),
    ("bad_deny_message", f'@deny_message("x") permit ({HEAD});', "@deny_message"),
    ("bad_deny_message", f'@deny_message("") forbid ({HEAD});', "@deny_message"),
    ("bad_deny_message", f'@deny_message("{"x" * 501}") forbid ({HEAD});', "@deny_message"),
    ("bad_deny_message", f'@deny_message("\\u{{202e}}") forbid ({HEAD});', "@deny_message"),
    ("bad_deny_message", f'@deny_message("a\\nb") forbid ({HEAD});', "@deny_message"),
]


@pytest.mark.parametrize(("code", "text", "marked"), CASES)
def test_each_code_has_a_policy_that_brings_it(code: str, text: str, marked: str | None) -> None:
    found = problems(text)
    assert [one.code for one in found] == [code]
    assert found[0].severity == "error"
    assert found[0].message.endswith(".")
    assert 0 <= found[0].start <= found[0].end <= len(text)
    if marked is not None:
        assert text[found[0].start : found[0].end] == marked
        assert not found[0].approximate


def test_a_sound_policy_has_no_problem() -> None:
    text = f'@id("a") @deny_message("No é.") forbid ({HEAD}) when {{ context.session.calls > 3 }};'
    assert problems(text) == []


def test_every_statement_is_checked_and_numbered() -> None:
    text = f"permit ({HEAD});\npermit (principal, action, resourc);\n  forbid (principl);\n"
    found = problems(text)
    assert [(one.statement, one.line) for one in found] == [(2, 2), (3, 3)]


def test_line_and_column_point_at_the_marked_text() -> None:
    found = problems(
        f'permit ({HEAD});\n\n  permit (principal, action == Wicket::Action::"read", resource);'
    )
    assert (found[0].line, found[0].col) == (3, 29)


def test_an_error_that_many_actions_share_is_one_problem() -> None:
    assert len(problems(f"forbid ({HEAD}) when {{ resource.colour == 1 }};")) == 1


def test_a_statement_that_cannot_be_placed_is_marked_whole_and_approximate() -> None:
    text = f"permit ({HEAD});\npermit ({HEAD}) when {{ [].contains(1) }};"
    found = problems(text)[0]
    assert found.approximate
    assert text[found.start : found.end].startswith("permit")
    assert found.line == 2


def test_the_fix_of_an_unknown_entity_is_the_nearest_one() -> None:
    text = 'permit (principal, action, resource in Wicket::Service::"gthub");'
    assert problems(text)[0].fix == 'Wicket::Service::"github"'


def test_fixing_a_group_makes_the_policy_sound() -> None:
    text = 'permit (principal, action == Wicket::Action::"read", resource);'
    found = problems(text)[0]
    assert found.fix == "in"
    assert problems(text[: found.start] + found.fix + text[found.end :]) == []


def test_an_agent_wide_record_of_an_untrusted_agent_only_forbids() -> None:
    assert [one.code for one in problems(f"permit ({HEAD});", may_permit=False)] == ["permit_scope"]
    assert problems(f"forbid ({HEAD});", may_permit=False) == []


def test_an_unknown_annotation_only_warns() -> None:
    found = problems(f'@note("x") permit ({HEAD});')
    assert [(one.severity, one.code) for one in found] == [("warning", "unknown_annotation")]


def test_at_most_a_hundred_problems_are_given() -> None:
    assert len(problems("permit (x);" * 150)) == 100
