"""Statements taken apart: scopes, clauses, operands, and what each part reads."""

import pytest

from wicketd.policy import conditions
from wicketd.policy.conditions import Part

HEAD = "forbid (principal, action, resource)"


def outline(part: Part) -> str:
    """A part in prefix form."""
    if not part.children:
        return part.text
    return f"{part.kind}({' '.join(map(outline, part.children))})"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a", "a"),
        ("((a))", "a"),
        ("a && b || c", "or(and(a b) c)"),
        ("a && (b || c)", "and(a or(b c))"),
        ("(a) || (b)", "or(a b)"),
        ("!a", "not(a)"),
        ("!(a && b)", "not(and(a b))"),
        ("!!a", "not(not(a))"),
        ("!a == b", "!a == b"),
        ("!a.b(c == d)", "not(a.b(c == d))"),
        ("if a then b else c && d", "if a then b else c && d"),
        ("a && (if b then c else d)", "and(a if b then c else d)"),
        ('x == "a && b" && c', 'and(x == "a && b" c)'),
        ("[a, b].contains(c && d)", "[a, b].contains(c && d)"),
    ],
)
def test_a_condition_comes_apart_by_what_binds_loosest(condition: str, expected: str) -> None:
    *_, clause = conditions.parts(f"{HEAD} when {{ {condition} }};")
    assert (clause.kind, outline(clause.children[0])) == ("when", expected)


def test_parts_come_in_their_order_and_are_spans_of_the_statement() -> None:
    text = '@id("a") permit (principal in A::"x", action in [B::"1", B::"2"], resource,)\n'
    text += "when { a } unless { b } when { c };"
    found = conditions.parts(text)
    assert [one.kind for one in found] == [
        "principal",
        "action",
        "resource",
        "when",
        "unless",
        "when",
    ]
    assert [text[one.start : one.end] for one in found] == [one.text for one in found]
    assert found[1].text == 'action in [B::"1", B::"2"]'


@pytest.mark.parametrize("text", ["", "permit", "permit (principal, action, resource", "a;"])
def test_what_has_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="head"):
        conditions.parts(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("context.input.path", [("context", "input", "path")]),
        ('context["input"]["a-b"]', [("context", "input", "a-b")]),
        ("context.input has path", [("context", "input", "path")]),
        ('context.input has "a-b"', [("context", "input", "a-b")]),
        ("context.network.ip.isInRange(x)", [("context", "network", "ip")]),
        ("principal == principal", [("principal",)]),
        ('resource in A::resource::"x"', [("resource",)]),
        ("x.context.y", []),
        ("1 < 2", []),
    ],
)
def test_what_an_expression_reads_is_named_by_its_path(
    text: str, expected: list[tuple[str, ...]]
) -> None:
    assert conditions.reads(text) == expected
