"""inputSchema to Cedar types, row by row (policy spec, 1.4)."""

from typing import Any

import pytest

from wicketd.domain.json import Json, JsonObject
from wicketd.policy.shapes import EMPTY, Record, Scalar, SetOf, input_shape


def shape_of(schema: Json, **definitions: Json) -> Any:
    root: JsonObject = {
        "type": "object",
        "properties": {"x": schema},
        "$defs": dict(definitions),
    }
    return input_shape({"inputSchema": root}).attributes.get("x")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "format": "date-time"}, Scalar.STRING),
        ({"type": "string", "enum": ["a"], "pattern": "a"}, Scalar.STRING),
        ({"type": "integer"}, Scalar.LONG),
        ({"type": "boolean"}, Scalar.BOOL),
        ({"type": "number"}, Scalar.DECIMAL),
        ({"type": "array", "items": {"type": "string"}}, SetOf(Scalar.STRING)),
        ({"type": "array"}, None),
        ({"type": "array", "items": {}}, None),
        ({"type": "array", "items": [{"type": "string"}]}, None),
        ({"type": "array", "items": {"type": "string"}, "prefixItems": []}, None),
        ({"type": "object"}, None),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, Record({"a": Scalar.STRING})),
        ({"type": ["string", "null"]}, Scalar.STRING),
        ({"type": ["string", "integer"]}, None),
        ({"type": "null"}, None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, Scalar.STRING),
        ({"oneOf": [{"type": "string"}, {"type": "string", "format": "uri"}]}, Scalar.STRING),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, None),
        ({"anyOf": [{"type": "null"}]}, None),
        ({"allOf": [{"type": "integer"}]}, Scalar.LONG),
        ({"allOf": [{"type": "integer"}, {"minimum": 1}]}, None),
        ({"enum": ["a", 1]}, None),
        ({}, None),
        (True, None),
        ({"$ref": "#/$defs/name"}, Scalar.STRING),
        ({"$ref": "#/$defs/missing"}, None),
        ({"$ref": "https://example.com/x"}, None),
        ({"$ref": "#/$defs/loop"}, None),
        ({"$ref": 3}, None),
    ],
)
def test_each_row_of_the_table(schema: Json, expected: object) -> None:
    found = shape_of(schema, name={"type": "string"}, loop={"$ref": "#/$defs/loop"})
    assert found == expected


def test_a_recursive_type_ends_where_it_recurs() -> None:
    node: Json = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}},
    }
    assert shape_of({"$ref": "#/$defs/node"}, node=node) == Record({"name": Scalar.STRING})


@pytest.mark.parametrize(("hops", "is_modelled"), [(20, True), (21, False)])
def test_references_are_followed_for_20_hops(hops: int, is_modelled: bool) -> None:
    definitions: dict[str, Json] = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(hops)}
    definitions[f"d{hops - 1}"] = {"type": "string"}
    assert (shape_of({"$ref": "#/$defs/d0"}, **definitions) is Scalar.STRING) is is_modelled


@pytest.mark.parametrize(("depth", "is_modelled"), [(7, True), (8, False)])
def test_types_are_modelled_to_depth_8(depth: int, is_modelled: bool) -> None:
    schema: Json = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    assert (shape_of(schema) is not None) is is_modelled


def test_200_properties_are_modelled_in_code_point_order() -> None:
    properties: JsonObject = {f"p{n:03d}": {"type": "string"} for n in range(201)}
    found = input_shape({"inputSchema": {"type": "object", "properties": properties}})
    assert len(found.attributes) == 200
    assert "p200" not in found.attributes


def test_a_wide_tree_of_references_stays_small() -> None:
    wide: JsonObject = {f"p{n}": {"$ref": "#/$defs/wide"} for n in range(50)}
    level: Json = {"type": "object", "properties": wide}
    deep: JsonObject = {f"p{n}": level for n in range(50)}
    shape_of({"type": "object", "properties": deep}, wide=level)


@pytest.mark.parametrize("name", ["__entity", "__", "\ud800"])
def test_names_that_cedar_cannot_hold_are_unmodelled(name: str) -> None:
    schema: JsonObject = {"type": "object", "properties": {name: {"type": "string"}}}
    assert input_shape({"inputSchema": schema}) == EMPTY


@pytest.mark.parametrize(
    "definition", [None, {}, {"inputSchema": 3}, {"inputSchema": {"type": "string"}}]
)
def test_an_unknown_schema_models_nothing(definition: JsonObject | None) -> None:
    assert input_shape(definition) == EMPTY
