from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.inbound import find_invalid_x_mcp_header

from wicketd.domain.catalogue import UpstreamEra
from wicketd.domain.json import JsonObject
from wicketd.proxy.listed import distinct, usable

MODERN, LEGACY = UpstreamEra.MODERN, UpstreamEra.LEGACY


def tool(schema: Any) -> JsonObject:
    return {"name": "t", "inputSchema": schema}


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth - 1):
        value = {"properties": value}
    return value


@pytest.mark.parametrize("broken", [None, "x", [], {}, {"name": 1}, {"name": "t"}, tool([])])
def test_what_is_no_tool_is_left_out(broken: Any) -> None:
    assert usable(broken, MODERN) is None


def test_a_schema_has_64_levels_and_256_kib_at_most() -> None:
    assert usable(tool(nested(64)), MODERN) is not None
    assert usable(tool(nested(65)), MODERN) is None
    assert usable(tool({"description": "x" * (250 * 1024)}), MODERN) is not None
    assert usable(tool({"description": "x" * (257 * 1024)}), MODERN) is None


MIRRORED = {"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "A"}}}


def test_a_modern_annotation_stays_and_a_legacy_one_is_stripped() -> None:
    assert usable(tool(MIRRORED), MODERN) == tool(MIRRORED)
    stripped = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert usable(tool(MIRRORED), LEGACY) == tool(stripped)


def test_a_property_that_is_named_like_the_annotation_is_not_stripped() -> None:
    schema: JsonObject = {"properties": {"x-mcp-header": {"type": "string"}}}
    assert usable(tool(schema), LEGACY) == tool(schema)


WORDS = ["properties", "items", "anyOf", "allOf", "$defs", "if", "not", "const", "default", "a"]
HEADERS = st.sampled_from(["A", "a", "B", "a b", "", 5, None, "ü"])
TYPES = st.sampled_from(["string", "integer", "boolean", "number", "object", ["string"], None])
LEAF = st.fixed_dictionaries({}, optional={"type": TYPES, "x-mcp-header": HEADERS})
SCHEMAS = st.recursive(
    LEAF,
    lambda inner: st.dictionaries(st.sampled_from(WORDS), inner | st.lists(inner, max_size=2)),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(WORDS), SCHEMAS, max_size=3))
def test_validity_agrees_with_the_official_sdk(schema: dict[str, Any]) -> None:
    reference = find_invalid_x_mcp_header(schema) is None
    assert (usable(tool(schema), MODERN) is not None) == reference


def test_of_two_definitions_under_one_name_only_the_first_is_ever_seen() -> None:
    listed: list[JsonObject] = [{"name": name, "n": n} for n, name in enumerate("aba")]
    assert distinct(listed, "name") == listed[:2]
