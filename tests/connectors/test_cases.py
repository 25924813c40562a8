"""Each bundled file against its case: the server's own tool list, its tiers and targets.

A file without a case declares nothing that it could be wrong about.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.connector_cases import CASES, LOADED, Refused
from wicketd.connectors import catalogue, mapping
from wicketd.connectors.mapping import CompiledRule, Unresolved
from wicketd.connectors.tiers import tier
from wicketd.domain.catalogue import (
    Connector,
    Target,
    Tier,
    TierRules,
    required_arguments,
    target_rule,
)
from wicketd.domain.json import Json, JsonObject

TOOLS: Final = [(key, tool) for key, case in CASES.items() for tool in case.tools]
TOOL_IDS: Final = [f"{key}-{tool['name']}" for key, tool in TOOLS]
UNVERIFIED: Final = [each.key for each in LOADED.all() if each.key not in CASES]
RULES: Final = {
    f"{connector.key}-{rule.tools[0]}": CompiledRule.of(rule)
    for connector in LOADED.all()
    for rule in connector.targets
}
ORDER: Final = (Tier.READ, Tier.WRITE, Tier.DESTRUCTIVE)
HOSTILE_TEXTS: Final = ("", ".", "..", "a\n", "a\0", " a", "a ", "a b", "../a", "a\u2215b", "%2e")
HOSTILE: Final[list[Json]] = [*HOSTILE_TEXTS, "a" * 5000, True, 1.5, ["a"], {"a": "a"}]
by_case = pytest.mark.parametrize("key", CASES)


def connector_of(key: str) -> Connector:
    connector = LOADED.get(key)
    assert connector is not None
    return connector


def target_of(
    connector: Connector, tool: JsonObject, arguments: JsonObject
) -> Target | Unresolved | None:
    name = str(tool["name"])
    required = required_arguments(tool)
    return mapping.target(connector.namespace, connector.targets, name, required, arguments)


def test_every_case_belongs_to_a_bundled_file() -> None:
    assert CASES.keys() <= {each.key for each in LOADED.all()}


@by_case
def test_every_tool_has_an_expectation_and_every_expectation_a_tool(key: str) -> None:
    names = [tool["name"] for tool in CASES[key].tools]
    assert sorted(names) == sorted(CASES[key].expected)


@by_case
def test_a_file_names_only_tools_that_the_list_has(key: str) -> None:
    connector = connector_of(key)
    named = {*connector.tools.declared(), *(n for r in connector.targets for n in r.excluded)}
    named |= {name for rule in connector.targets for name in rule.tools} - {"*"}
    assert named <= CASES[key].expected.keys()


@by_case
def test_the_list_is_the_one_that_was_read(key: str) -> None:
    text = json.dumps(CASES[key].tools, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == CASES[key].tools_sha256


@by_case
def test_a_case_says_where_and_when_its_list_was_read(key: str) -> None:
    case = CASES[key]
    assert case.sources
    assert any(source.dated for source in case.sources)
    for source in case.sources:
        assert re.fullmatch("[0-9a-f]{64}", source.sha256)
        assert source.dated is None or re.fullmatch(r"\d{4}-\d\d-\d\d", source.dated)
        assert (source.dated or "") <= case.read
        if source.page is None:
            assert source.repository
            assert re.fullmatch("[0-9a-f]{40}", source.commit or "")
            assert source.files
            assert source.dated
        else:
            assert source.page.startswith("https://")
            assert source.part


@pytest.mark.parametrize(("key", "tool"), TOOLS, ids=TOOL_IDS)
def test_a_bundled_file_gives_the_tier_of_its_case(key: str, tool: Any) -> None:
    expected = CASES[key].expected[tool["name"]]
    found = tier(
        connector_of(key).tools,
        tool["name"],
        tool.get("annotations"),
        None,
        first_discovery=True,
    )
    assert found == (expected.tier, expected.origin)


@pytest.mark.parametrize(("key", "tool"), TOOLS, ids=TOOL_IDS)
def test_no_tier_is_below_what_the_server_says_itself(key: str, tool: Any) -> None:
    hints = tool.get("annotations") or {}
    said = Tier.READ
    if hints.get("readOnlyHint") is False:
        said = Tier.DESTRUCTIVE if hints.get("destructiveHint") is True else Tier.WRITE
    assert ORDER.index(CASES[key].expected[tool["name"]].tier) >= ORDER.index(said)


@pytest.mark.parametrize(("key", "tool"), TOOLS, ids=TOOL_IDS)
def test_a_bundled_file_gives_the_targets_of_its_case(key: str, tool: Any) -> None:
    connector, case = connector_of(key), CASES[key]
    expected = case.expected[tool["name"]]
    assert expected.calls
    for call in expected.calls:
        found = target_of(connector, tool, call.arguments)
        match call.target:
            case None:
                assert found is None
            case Refused(pointer):
                assert isinstance(found, Unresolved)
                assert found.pointer == pointer
            case name:
                resource = case.resources[name]
                kind, _, uid = name.partition("::")
                above = [each.partition("::") for each in resource.parents]
                assert found == Target(
                    f"{connector.namespace}::{kind}",
                    uid,
                    resource.attrs,
                    tuple((f"{connector.namespace}::{entity}", id_) for entity, _, id_ in above),
                )


@pytest.mark.parametrize(("key", "tool"), TOOLS, ids=TOOL_IDS)
def test_a_tool_that_takes_a_targets_arguments_is_mapped_or_says_why_not(
    key: str, tool: Any
) -> None:
    connector, name = connector_of(key), tool["name"]
    takes = frozenset(tool["inputSchema"]["properties"])
    could = any(rule.arguments <= takes for rule in connector.targets)
    required = required_arguments(tool)
    mapped = any(rule.covers(name, required) for rule in connector.targets)
    assert (could and not mapped) == (name in CASES[key].unmapped)


@pytest.mark.parametrize(("key", "tool"), TOOLS, ids=TOOL_IDS)
def test_no_further_argument_changes_the_resource(key: str, tool: Any) -> None:
    """Whatever else is said, and wherever it points."""
    connector = connector_of(key)
    for call in CASES[key].expected[tool["name"]].calls:
        more = dict.fromkeys(tool["inputSchema"]["properties"], "other")
        rule = target_rule(connector.targets, tool["name"], required_arguments(tool))
        own = CompiledRule.of(rule).arguments if rule else ()
        changed = {**{n: v for n, v in more.items() if n not in own}, **call.arguments}
        assert target_of(connector, tool, changed) == target_of(connector, tool, call.arguments)


@pytest.mark.parametrize(("key", "tool"), TOOLS, ids=TOOL_IDS)
def test_a_target_is_refused_if_one_of_its_arguments_is_no_plain_name(key: str, tool: Any) -> None:
    connector = connector_of(key)
    rule = target_rule(connector.targets, tool["name"], required_arguments(tool))
    calls = CASES[key].expected[tool["name"]].calls
    named = [call.arguments for call in calls if isinstance(call.target, str)]
    assert bool(named) == (rule is not None)
    for arguments in named:
        for argument in CompiledRule.of(rule).arguments if rule else ():
            for value in HOSTILE:
                found = target_of(connector, tool, {**arguments, argument: value})
                assert isinstance(found, Unresolved), (argument, value)
                assert found.pointer == f"/{argument}"


@pytest.mark.parametrize("name", RULES)
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_two_calls_share_a_resource_only_if_they_name_the_same_one(
    name: str, data: st.DataObject
) -> None:
    """Texts of the rule's own pattern, so that nearly all of them resolve."""
    rule = RULES[name]
    texts = st.from_regex(rule.pattern, fullmatch=True)
    one, other = ({n: data.draw(texts) for n in rule.arguments} for _ in range(2))
    if data.draw(st.booleans()):
        other = {n: text.swapcase() for n, text in one.items()}
    first, second = rule.resolve("N", {**one}), rule.resolve("N", {**other})
    if isinstance(first, Target) and isinstance(second, Target):

        def parts(arguments: dict[str, str]) -> list[str]:
            own = [arguments[n] for n in rule.id.arguments]
            return [text.lower() for text in own] if rule.rule.fold else own

        assert (first.id == second.id) == (parts(one) == parts(other))


@pytest.mark.parametrize("key", UNVERIFIED)
def test_a_file_without_a_case_declares_nothing_and_says_so(key: str) -> None:
    connector = connector_of(key)
    assert connector.tools == TierRules(rest="annotations")
    assert connector.targets == ()
    text = Path(catalogue.__file__).with_name(f"{key}.toml").read_text()
    assert text.startswith("# Unverified: ")
