"""Tokens, statements and the guard (policy spec, 9.1 and 3.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.policy import engine, lexer

HEAD = "permit (principal, action, resource)"


def codes(text: str) -> list[str]:
    return [finding.code for finding in lexer.guard(text)]


def when(expression: str) -> str:
    return f"{HEAD} when {{ {expression} }};"


@given(st.text())
def test_any_text_lexes_without_loss(text: str) -> None:
    tokens = lexer.lex(text)
    assert "".join(token.text for token in tokens) == text
    assert all(text[token.start : token.end] == token.text for token in tokens)


@given(st.lists(st.sampled_from(list('"\\/\n;(){}[]ab1?:=&|.,- ')), max_size=40).map("".join))
def test_cedar_like_text_lexes_without_loss(text: str) -> None:
    assert "".join(token.text for token in lexer.lex(text)) == text
    lexer.guard(text)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ('a::"b"', ["ident", "op", "string"]),
        ("// x; y\n1", ["comment", "space", "number"]),
        ('"a\\"b"', ["string"]),
        ('"two\nlines"', ["string"]),
        ('"open\n1', ["openstring", "space", "number"]),
        ('"open\\', ["openstring"]),
        ("?principal", ["slot"]),
        ("a<=b&&c", ["ident", "op", "ident", "op", "ident"]),
        ("#", ["bad"]),
        ("é", ["bad"]),
    ],
)
def test_tokens_have_their_kind(text: str, kinds: list[str]) -> None:
    assert [token.kind for token in lexer.lex(text)] == kinds


def test_statements_are_cut_at_semicolons_that_are_tokens() -> None:
    text = f'// a; b\n@id("x;y") {HEAD}; {when("true")}\n// end'
    cut = [text[span.start : span.end] for span in lexer.split(text)]
    assert cut == [f'@id("x;y") {HEAD};', when("true")]


def test_an_open_last_statement_counts() -> None:
    assert len(lexer.split(f"{HEAD}; forbid (")) == 2
    assert lexer.split("// nothing\n") == []


def test_lines_and_columns_count_from_one() -> None:
    text = "a\nbé\nc"
    assert [lexer.line_col(text, at) for at in (0, 2, 3, 5, 6)] == [
        (1, 1),
        (2, 1),
        (2, 2),
        (3, 1),
        (3, 2),
    ]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (r'"a\"b"', 'a"b'),
        (r'"\u{41}\x42\n\t\r\0\\\'"', "AB\n\t\r\0\\'"),
        (r'"\*"', "*"),
        (r'"\u{110000}"', r"\u{110000}"),
    ],
)
def test_strings_are_unquoted_as_the_engine_reads_them(literal: str, value: str) -> None:
    assert lexer.unquote(literal) == value


def test_names_hold_every_identifier_and_string_value() -> None:
    found = lexer.names(r'context.input["max-rows"] == context.input.sql && "\u{61}" like "b*"')
    assert {"context", "input", "max-rows", "sql", "a", "b*"} <= found


def test_paths_are_entity_literals() -> None:
    text = 'A::B::"x" in [C::"y\\"z"] && D::e("no") && F :: "spaced"'
    assert [(path.type, path.id) for path in lexer.paths(text)] == [
        ("A::B", "x"),
        ("C", 'y"z'),
        ("F", "spaced"),
    ]


@pytest.mark.requirement("G1")
def test_a_record_has_at_most_64_kibibytes() -> None:
    assert codes("//" + "x" * (lexer.MAX_BYTES - 2)) == []
    assert codes("//" + "x" * (lexer.MAX_BYTES - 1)) == ["too_large"]
    assert codes("//" + "é" * (lexer.MAX_BYTES // 2)) == ["too_large"]


def nested(depth: int) -> str:
    """`depth` counts the clause's own brace."""
    return when("(" * (depth - 1) + "true" + ")" * (depth - 1))


def nested_if(depth: int) -> str:
    return when("if true then true else " * (depth - 1) + "true")


NESTINGS = [
    nested,
    nested_if,
    lambda depth: when("[" * (depth - 1) + "1" + "]" * (depth - 1) + " == 1"),
    lambda depth: when("{a: " * (depth - 1) + "1" + "}" * (depth - 1) + " == 1"),
]


@pytest.mark.requirement("G2")
@pytest.mark.parametrize("form", NESTINGS)
def test_brackets_and_ifs_nest_64_deep(form: object) -> None:
    assert callable(form)
    assert lexer.measure(form(lexer.MAX_NESTING)).nesting == lexer.MAX_NESTING
    assert "too_nested" not in codes(form(lexer.MAX_NESTING))
    assert "too_nested" in codes(form(lexer.MAX_NESTING + 1))


@pytest.mark.requirement("G2")
def test_an_if_ends_at_its_bracket_comma_or_semicolon() -> None:
    text = when("[if true then 1 else 2, (if true then 1 else 2)] == 1")
    assert lexer.measure(text * 3).nesting == 4


@pytest.mark.requirement("G3")
def test_a_hundred_or_terms_have_depth_105() -> None:
    term = 'context.input has a && context.input.a == "x"'
    assert lexer.measure(when(" || ".join([term] * 100))).path == 105


@pytest.mark.requirement("G3")
def test_a_looser_operator_does_not_hide_a_tight_chain_on_its_left() -> None:
    chain = "context" + ".a" * 300
    loose = " || true" * 300
    assert lexer.measure(when(chain + loose)).path >= 600
    assert codes(when(chain + loose)) == ["too_deep"]


@pytest.mark.requirement("G3")
def test_siblings_do_not_add_up() -> None:
    wide = ", ".join(["context.a.b.c"] * 500)
    assert lexer.measure(when(f"[{wide}].contains(1)")).path < 20
    assert lexer.measure(when("true") * 500).path < 20


@pytest.mark.requirement("G3")
def test_many_clauses_are_a_chain() -> None:
    assert lexer.measure(HEAD + " when { true }" * 600 + ";").path > lexer.MAX_PATH


@pytest.mark.requirement("G4")
@pytest.mark.parametrize(
    "char",
    list("\0\x07\x0b\x0c\x1b\x7f\x85\u061c\u200b\u200d\u2028\u2029\u202e\u2060\u2066\ufeff\ud800"),
)
def test_a_character_that_hides_what_a_policy_says_is_refused(char: str) -> None:
    text = f"{HEAD}; // {char}forbid"
    found = lexer.guard(text)
    assert [finding.code for finding in found] == ["bad_character"]
    assert text[found[0].start : found[0].end] == char


@pytest.mark.requirement("G4")
def test_line_ends_are_newline_or_both_characters() -> None:
    assert codes(f"// a\r\n\t{HEAD};\r\n") == []
    assert codes(f"// a\r{HEAD};") == ["bad_character"]


@pytest.mark.requirement("G5")
@pytest.mark.parametrize(
    "text",
    [
        "permit (principal == ?principal, action, resource);",
        "permit (principal, action, resource in ?resource);",
        when("__cedar::Long == 1"),
    ],
)
def test_template_slots_and_engine_names_are_refused(text: str) -> None:
    assert codes(text) == ["template"]


def test_the_essence_forgives_layout_and_trailing_commas() -> None:
    assert lexer.essence("[1,\n 2,]") == lexer.essence("[1, 2]")
    assert lexer.essence("[1, 2] // a") != lexer.essence("[1, 2]")


@given(
    st.lists(
        st.sampled_from(["1", "(1)", "context.a", '"x"', "[1, 2]", "if true then 1 else 2", "-1"]),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([" || ", " && ", " + ", " == 1 || ", "\n//c\n+ "]),
)
def test_a_space_at_a_token_boundary_changes_nothing_for_the_engine(
    terms: list[str], operator: str
) -> None:
    text = when(operator.join(f"({term})" for term in terms))
    spaced = " ".join(token.text + "\n" for token in lexer.lex(text))
    assert engine.parse_error(text) is None
    strip = [(one.effect, one.action) for one in engine.facts_of(text)]
    assert [(one.effect, one.action) for one in engine.facts_of(spaced)] == strip


@given(st.text(alphabet='permit ;"\\/\n\r{}', max_size=40), st.integers(0, 40))
def test_a_statement_begins_where_the_lexer_ends_the_one_before(text: str, offset: int) -> None:
    before = text[:offset]
    ends = [one.end for one in lexer.lex(before) if one.kind == "op" and one.text == ";"]
    assert lexer.statement_start(text, offset) == (ends[-1] if ends else 0)
