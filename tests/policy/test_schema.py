"""The schema text of a catalogue (policy spec, section 1)."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.policies import REPOSITORY, github, make_tool, ops, strings
from wicketd.domain.catalogue import ServiceView, Tier, Tool, ToolStatus
from wicketd.policy import engine
from wicketd.policy.schema import render

GOLDEN = Path(__file__).parent / "cases" / "two_services.cedarschema"

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    ["if", "has", "a b", 'q"', "back\\slash", "any", "__cedar", "é", "\u202e"]
)
scalars: st.SearchStrategy[Any] = st.sampled_from(
    [{"type": kind} for kind in ("string", "integer", "number", "boolean", "null", "object")]
)
schemas: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.dictionaries(names, inner, max_size=4).map(
            lambda props: {"type": "object", "properties": props}
        )
        | inner.map(lambda items: {"type": "array", "items": items})
        | st.lists(inner, max_size=2).map(lambda branches: {"anyOf": branches})
    ),
    max_leaves=8,
)
tools = st.builds(
    make_tool, names, st.sampled_from(Tier), st.dictionaries(names, schemas, max_size=5)
)


@pytest.mark.requirement("V1", "V5", "V6", "V7")
def test_two_services_give_the_schema_of_the_specification() -> None:
    assert render([ops(), github()]).text == GOLDEN.read_text()


@pytest.mark.requirement("V1")
def test_the_order_of_services_and_tools_does_not_change_a_byte() -> None:
    one, two = github(), ops()
    shuffled = ServiceView(one.key, one.namespace, one.tools[::-1], one.targets)
    assert render([two, shuffled]).sha256 == render([one, two]).sha256


@pytest.mark.requirement("V1", "V2")
@given(found=st.lists(tools, max_size=6, unique_by=lambda tool: tool.name))
@settings(max_examples=60, deadline=None)
def test_any_catalogue_gives_a_text_that_the_engine_accepts(found: list[Tool]) -> None:
    view = ServiceView("x", "XMCP", tuple(found), (REPOSITORY,))
    assert str(engine.parse_schema(render([view]).text))


@pytest.mark.requirement("V4")
def test_a_tool_called_any_is_left_out() -> None:
    view = ServiceView("x", "XMCP", (make_tool("any"), make_tool("all")))
    assert set(render([view]).shapes) == {("x", "all")}


@pytest.mark.requirement("V8")
def test_a_gone_tool_stays_only_while_a_policy_names_it() -> None:
    gone = (make_tool("a", status=ToolStatus.GONE), make_tool("b", status=ToolStatus.GONE))
    view = ServiceView("x", "XMCP", gone, gone_but_named=("b",))
    assert set(render([view]).shapes) == {("x", "b")}


def test_an_excluded_tool_is_left_out() -> None:
    view = ServiceView("x", "XMCP", (make_tool("a", status=ToolStatus.EXCLUDED),))
    assert not render([view]).shapes


@pytest.mark.requirement("V7")
def test_a_required_target_is_the_only_resource_type() -> None:
    shapes = render([github()]).shapes
    assert shapes["github", "delete_file"].types == ("GitHubMCP::Repository",)
    assert set(shapes["github", "search_code"].types) == {"Wicket::Tool", "GitHubMCP::Repository"}
    assert shapes["github", "search_repositories"].types == ("Wicket::Tool",)


def test_an_attribute_that_only_one_rule_sets_is_optional() -> None:
    tool = make_tool("x", Tier.READ, strings("owner"))
    other = type(REPOSITORY)("Repository", ("x",), "{owner}", ".+", attrs={"owner": "{owner}"})
    view = ServiceView("x", "XMCP", (tool,), (REPOSITORY, other))
    text = render([view]).text
    assert '{ "name"?: String, "owner": String }' in text


@pytest.mark.requirement("V9")
def test_an_unusable_schema_raises() -> None:
    with pytest.raises(ValueError, match="pars"):
        engine.parse_schema("namespace {")
