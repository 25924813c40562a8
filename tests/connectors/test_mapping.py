from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from wicketd.connectors.mapping import CompiledRule, Template, Unresolved, target
from wicketd.domain.catalogue import Target, TargetRule
from wicketd.domain.json import JsonObject

RULE = TargetRule(
    entity="Repository",
    tools=("*",),
    id="{owner}/{repo}",
    pattern="[A-Za-z0-9._-]{1,100}",
    excluded=("create_repository",),
    fold="lower",
    attrs={"owner": "{owner}"},
    parents=(("Owner", "{owner}"),),
)
BOTH = frozenset({"owner", "repo"})


def of(arguments: JsonObject, rule: TargetRule = RULE) -> Target | Unresolved | None:
    return target("N", [rule], "t", BOTH, arguments)


@pytest.mark.requirement("T4")
def test_id_attributes_and_parents_come_from_the_folded_parts() -> None:
    assert of({"owner": "ACME", "repo": "Site"}) == Target(
        "N::Repository", "acme/site", {"owner": "acme"}, (("N::Owner", "acme"),)
    )


@pytest.mark.requirement("T2")
def test_folded_spellings_share_an_id_and_unfolded_ones_do_not() -> None:
    upper, lower = {"owner": "ACME", "repo": "x"}, {"owner": "acme", "repo": "x"}
    assert of(dict(upper)) == of(dict(lower))
    exact = replace(RULE, fold=None)
    assert of(dict(upper), exact) != of(dict(lower), exact)


@pytest.mark.parametrize(
    "owner",
    [None, True, False, 1.0, [], {}, "", "a/b", "a b", "a\n", "\na", "a\0", "ä", "a" * 101, "../x"],
)
@pytest.mark.requirement("T1", "T3")
def test_a_part_that_does_not_match_whole_is_unresolved(owner: object) -> None:
    found = of({"owner": owner, "repo": "r"})  # type: ignore[dict-item]  # any JSON value
    assert isinstance(found, Unresolved)
    assert found.pointer == "/owner"
    assert "[A-Za-z0-9._-]{1,100}" in found.expected


def test_a_missing_argument_is_unresolved() -> None:
    assert of({"owner": "o"}) == Unresolved(
        "/repo", "a text or integer that matches [A-Za-z0-9._-]{1,100}"
    )


def test_an_integer_is_its_decimal_text() -> None:
    found = of({"owner": 42, "repo": "r"})
    assert isinstance(found, Target)
    assert found.id == "42/r"


@pytest.mark.requirement("T3")
def test_an_optional_target_falls_back_only_if_all_arguments_are_absent_or_null() -> None:
    optional = replace(RULE, optional=True)
    assert of({}, optional) is None
    assert of({"owner": None, "repo": None, "x": 1}, optional) is None
    assert isinstance(of({"owner": "o"}, optional), Unresolved)
    assert isinstance(of({"owner": "", "repo": None}, optional), Unresolved)


def test_a_star_rule_covers_only_tools_that_require_its_arguments() -> None:
    arguments: JsonObject = {"owner": "o", "repo": "r"}
    assert target("N", [RULE], "t", frozenset({"owner"}), arguments) is None
    assert target("N", [RULE], "create_repository", BOTH, arguments) is None


def test_a_named_rule_goes_before_a_star_rule() -> None:
    named = TargetRule(entity="Org", tools=("t",), id="{owner}", pattern="[a-z]+")
    found = target("N", [RULE, named], "t", BOTH, {"owner": "o", "repo": "r"})
    assert isinstance(found, Target)
    assert found.type == "N::Org"


@pytest.mark.parametrize("text", ["{", "}", "{a}}", "{a b}", "{1}", "{}"])
def test_a_brace_that_is_no_placeholder_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        Template.parse(text)


# Few short texts, so that two different pairs meet in one id as soon as that is possible at all.
PARTS = (
    st.text(alphabet="a/", max_size=3)
    | st.text(alphabet="aA:.-", max_size=3)
    | st.integers(min_value=-9, max_value=9)
)
IDS = st.sampled_from(["{a}/{b}", "{a}::{b}", "x{a}/{b}y", "{b}.{a}", "{a}/{b}/{c}", "{a}-{c}"])
PATTERNS = st.sampled_from([".+", "[a-zA-Z/:.-]+", "[^/]+", "(?s).*", "[A-Za-z0-9._-]{1,100}"])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.fixed_dictionaries({"a": PARTS, "b": PARTS, "c": PARTS}),
    st.fixed_dictionaries({"a": PARTS, "b": PARTS, "c": PARTS}),
    IDS,
    PATTERNS,
    st.sampled_from([None, "lower"]),
)
@pytest.mark.requirement("T1")
def test_arguments_that_differ_in_a_target_part_never_share_an_id(
    one: dict[str, str | int],
    other: dict[str, str | int],
    text: str,
    pattern: str,
    fold: str | None,
) -> None:
    """Whatever the file's pattern admits; case folding apart."""
    rule = CompiledRule.of(TargetRule("E", ("t",), text, pattern, fold=fold))
    first, second = rule.resolve("N", {**one}), rule.resolve("N", {**other})
    assume(isinstance(first, Target) and isinstance(second, Target))
    assert isinstance(first, Target)
    assert isinstance(second, Target)

    def parts(arguments: dict[str, str | int]) -> list[str]:
        texts = [str(arguments[name]) for name in rule.id.arguments]
        return [part.lower() for part in texts] if fold else texts

    assert (first.id == second.id) == (parts(one) == parts(other))
