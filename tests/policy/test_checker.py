"""Checks before a save: one minimal policy per code (policy spec, 5.2)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.policies import github, make_tool, ops, two_services
from wicketd.domain.catalogue import ToolStatus
from wicketd.domain.policies import Problem
from wicketd.policy import engine, lexer
from wicketd.policy.checker import check
from wicketd.policy.checks import Scope
from wicketd.policy.names import tree
from wicketd.policy.schema import render

SCHEMA = two_services()
NAMES = tree(SCHEMA, [github(), ops()])
HANDLE = engine.parse_schema(SCHEMA.text)
MIXED = 'OpsMCP::Action::"status", Wicket::Action::"read"'
HEAD = "principal, action, resource"
STATUS = 'action == OpsMCP::Action::"status"'
DELETE = 'action == GitHubMCP::Action::"delete_file"'
TARGETED = 'resource == Wicket::Tool::"github__delete_file"'


def problems(text: str, may_permit: bool = True) -> list[Problem]:
    found = check(HANDLE, text, Scope.of("agent", SCHEMA, may_permit=may_permit, names=NAMES))
    return [one for one in found if one.severity == "error"]


def warnings(text: str, scope: Scope | None = None) -> list[Problem]:
    asked = scope or Scope.of("agent", SCHEMA, may_permit=True, names=NAMES)
    return [one for one in check(HANDLE, text, asked) if one.severity == "warning"]


def mended(text: str, found: Problem) -> str:
    """The text with the fix of a problem in its place."""
    assert found.fix is not None
    return text[: found.start] + found.fix + text[found.end :]


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
        f"permit (principal, action in [{MIXED}], resource);",
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
    assert found[0].message[-1] in ".?"
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
    text = f"permit ({HEAD});\npermit ({HEAD}) when {{ principal.tags && principal.tags }};"
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
    text = f'@note("x") permit ({HEAD}) when {{ context.time.hour > 3 }};'
    assert problems(text) == []
    assert [one.code for one in warnings(text)] == ["unknown_annotation"]


def test_at_most_a_hundred_problems_are_given() -> None:
    assert len(problems("permit (x);" * 150)) == 100


FIXABLE = [
    ("syntax", f"permit ({HEAD}) when {{ context.time.hour > 3 }}"),
    ("unknown_action", 'forbid (principal, action == OpsMCP::Action::"statsu", resource);'),
    ("unknown_action", 'forbid (principal, action == OpsMPC::Action::"status", resource);'),
    ("unknown_type", "forbid (principal is Wicket::Membre, action, resource);"),
    ("unknown_attribute", f"forbid ({HEAD}) when {{ context.time.huor > 3 }};"),
    ("unknown_attribute", f"forbid ({HEAD}) when {{ principal.tagz.isEmpty() }};"),
    (
        "unknown_attribute",
        (
            'forbid (principal, action == OpsMCP::Action::"db-query", resource) '
            'when { context.input has "max-rows" && context.input["max-row"] > 3 };'
        ),
    ),
    (
        "unguarded_attribute",
        f'forbid (principal, {DELETE}, resource) when {{ context.input.path == "x" }};',
    ),
    (
        "unguarded_attribute",
        (
            'forbid (principal, action == OpsMCP::Action::"db-query", resource) '
            'when { context.time.hour > 3 && context.input["max-rows"] > 3 };'
        ),
    ),
    ("group_needs_in", 'forbid (principal, action == Wicket::Action::"write", resource);'),
    ("unknown_entity", 'forbid (principal, action, resource in Wicket::Service::"gihtub");'),
    (
        "bad_target_id",
        'forbid (principal, action, resource == GitHubMCP::Repository::"Acme/Site");',
    ),
    (
        "targeted_tool",
        f'forbid ({HEAD}) when {{ resource == Wicket::Tool::"github__delete_file" }};',
    ),
    ("targeted_tool", f"forbid (principal, action, {TARGETED});"),
    ("targeted_tool", f"forbid (principal, {DELETE}, {TARGETED},) when {{ true }};"),
    ("mixed_types", f"forbid (principal, action in [{MIXED}], resource);"),
    (
        "mixed_types",
        f'@id("a-2") forbid ({HEAD}); @id("a") forbid (principal, action in [{MIXED}], resource);',
    ),
    (
        "mixed_types",
        f'@id("{"a" * 64}") forbid (principal, action in [{MIXED},], resource) // why\n;',
    ),
]


@pytest.mark.parametrize(("code", "text"), FIXABLE)
def test_fixes_applied_one_after_the_other_leave_no_error(code: str, text: str) -> None:
    assert [one.code for one in problems(text)] == [code]
    for _ in range(5):
        found = problems(text)
        if not found:
            return
        text = mended(text, found[0])
    pytest.fail(f"Still {problems(text)}")


def test_a_mixed_list_is_split_into_statements_that_name_what_it_named() -> None:
    text = """@id("a") forbid (
  principal,
  action in [
    OpsMCP::Action::"status", GitHubMCP::Action::"delete_file", OpsMCP::Action::"db-query"
  ],
  resource
) when { context.time.hour > 3 };"""
    (found,) = problems(text)
    assert (
        found.fix
        == """@id("a") forbid (
  principal,
  action in [OpsMCP::Action::"status", OpsMCP::Action::"db-query"],
  resource
) when { context.time.hour > 3 };
@id("a-2") forbid (
  principal,
  action in [GitHubMCP::Action::"delete_file"],
  resource
) when { context.time.hour > 3 };"""
    )


def test_a_tool_with_targets_in_the_scope_becomes_its_action() -> None:
    (found,) = problems(f"forbid (principal, action, {TARGETED}) when {{ true }};")
    assert found.fix == f"forbid (principal, {DELETE}, resource) when {{ true }};"


@pytest.mark.parametrize(
    "text",
    [
        f"forbid (principal, action in [{MIXED} // both\n], resource);",
        f"forbid (principal, action in [{MIXED}], resource);//{'x' * (lexer.MAX_BYTES - 120)}",
        f"forbid (principal, {STATUS}, {TARGETED});",
    ],
    ids=["would lose a comment", "would be too large", "contradicts its action"],
)
def test_no_fix_is_proposed_that_would_lose_or_change_what_was_meant(text: str) -> None:
    found = [one for one in problems(text) if one.code in {"mixed_types", "targeted_tool"}]
    assert [one.fix for one in found] == [None]


@pytest.mark.parametrize(
    ("code", "text", "marked"),
    [
        ("permits_all", f"permit ({HEAD});", f"permit ({HEAD});"),
        ("forbids_all", f"forbid ({HEAD});", f"forbid ({HEAD});"),
        ("out_of_range", f"forbid ({HEAD}) when {{ context.time.hour >= 24 }};", "24"),
        ("out_of_range", f"forbid ({HEAD}) when {{ 60 < context.time.minute }};", "60"),
        (
            "out_of_range",
            f"forbid ({HEAD}) when {{ [1, 7].contains(context.time.weekday) }};",
            "7",
        ),
        ("unknown_value", f'forbid ({HEAD}) when {{ principal.role == "admin" }};', '"admin"'),
        (
            "utc_time",
            f'forbid ({HEAD}) when {{ context.time.now.toTime() > duration("9h") }};',
            "toTime",
        ),
        (
            "mixed_script",
            f'forbid ({HEAD}) when {{ principal.email == "\u0430lice" }};',
            '"\u0430lice"',
        ),
        (
            "tool_only",
            "forbid (principal, action, resource is Wicket::Tool);",
            "is Wicket::Tool",
        ),
        (
            "lossy_set",
            (
                'forbid (principal, action == OpsMCP::Action::"deploy.run", resource) '
                'when { context.input has hosts && context.input.hosts == ["a"] };'
            ),
            "==",
        ),
    ],
)
def test_each_warning_has_a_policy_that_brings_it(code: str, text: str, marked: str) -> None:
    assert problems(text) == []
    found = warnings(text)
    assert [one.code for one in found] == [code]
    assert text[found[0].start : found[0].end] == marked


def test_the_same_statement_twice_is_said_of_the_second() -> None:
    text = f'forbid ({HEAD}) when {{ true }};\n@id("b") forbid( {HEAD} ) when {{ true }};'
    found = warnings(text)
    assert [(one.code, one.statement) for one in found] == [("duplicate_statement", 2)]


def test_people_that_nobody_knows_are_warned_about_with_the_nearest() -> None:
    scope = replace(
        Scope.of("agent", SCHEMA, may_permit=True, names=NAMES),
        members=("alice@example.com",),
        groups=("ops",),
    )
    text = 'forbid (principal == Wicket::Member::"alcie@example.com", action, resource);'
    (found,) = warnings(text, scope)
    assert (found.code, found.fix) == ("unknown_member", 'Wicket::Member::"alice@example.com"')
    (found,) = warnings('forbid (principal in Wicket::Group::"x-y-z", action, resource);', scope)
    assert (found.code, found.fix) == ("unknown_group", None)


def test_a_tool_that_its_upstream_dropped_is_warned_about() -> None:
    gone = replace(
        ops(),
        tools=(make_tool("old", status=ToolStatus.GONE), *ops().tools),
        gone_but_named=("old",),
    )
    schema = render([gone])
    scope = Scope.of("agent", schema, may_permit=True, names=tree(schema, [gone]))
    text = 'forbid (principal, action == OpsMCP::Action::"old", resource);'
    found = check(engine.parse_schema(schema.text), text, scope)
    assert [one.code for one in found] == ["gone_tool"]


def test_one_broken_statement_hides_no_other() -> None:
    text = f"permit (principal action, resource);\nforbid ({HEAD}) when {{ context.tim.hour > 1 }};"
    found = problems(text)
    assert [(one.statement, one.code) for one in found] == [
        (1, "syntax"),
        (2, "unknown_attribute"),
    ]
    assert text[found[0].start : found[0].end] == "action"
    assert text[found[1].start : found[1].end] == "tim"
    assert "14 actions" in found[1].message


@given(st.text(max_size=80) | st.text(alphabet='permit(),;"{}[]=&|. \nxéA:1@?', max_size=200))
def test_any_text_has_an_answer_within_its_bounds(text: str) -> None:
    for one in check(HANDLE, text, Scope.of("agent", SCHEMA, may_permit=True, names=NAMES)):
        assert 0 <= one.start <= one.end <= len(text)
        assert (one.line, one.col) == lexer.line_col(text, one.start)
