"""Arguments as Cedar reads them (policy spec, section 2)."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.policies import World, make_tool, two_services
from wicketd.domain.catalogue import ServiceView
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.policies import Reason
from wicketd.policy import engine
from wicketd.policy.encode import Encoded, EncodeRefusal, arguments, pointer, unmodelled
from wicketd.policy.schema import render
from wicketd.policy.shapes import Record, Scalar, SetOf

DEPLOY = two_services().shapes["ops", "deploy.run"].input
ONE = {kind: Record({"x": kind}) for kind in Scalar}
PERMIT_ALL = "permit (principal, action, resource);"


def encode(value: JsonObject, shape: Record = DEPLOY) -> Encoded | EncodeRefusal:
    return arguments(value, shape, named=None, strict=True)


def cause(value: JsonObject, shape: Record = DEPLOY) -> str | None:
    found = encode(value, shape)
    return found.cause if isinstance(found, EncodeRefusal) else None


@pytest.mark.requirement("E1", "E5", "E6", "E8")
def test_the_example_of_the_specification() -> None:
    value: JsonObject = {
        "budget": 1200.5,
        "env": "prod",
        "hosts": ["a", "a"],
        "options": {"if": "x", "dry_run": None},
        "note": {},
    }
    assert encode(value) == Encoded(
        {
            "budget": {"__extn": {"fn": "decimal", "arg": "1200.5000"}},
            "env": "prod",
            "hosts": ["a"],
            "options": {"if": "x"},
        },
        ("/note",),
    )


hostile = st.sampled_from(["__entity", "__extn", "__expr", "__x", "__"])
places: list[Any] = [
    lambda bad: bad,
    lambda bad: {"env": bad},
    lambda bad: {"options": bad},
    lambda bad: {"options": {"if": bad}},
    lambda bad: {"hosts": [bad]},
    lambda bad: {"note": bad},
    lambda bad: {"note": [[{"deep": bad}]]},
]


@pytest.mark.requirement("E2", "E9")
@given(key=hostile, place=st.sampled_from(places))
def test_a_reserved_key_is_refused_at_every_depth(key: str, place: Any) -> None:
    assert cause(place({key: {"type": "Wicket::Member", "id": "root"}})) == "E2"


@pytest.mark.requirement("E3")
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Scalar.STRING, 5),
        (Scalar.STRING, {}),
        (Scalar.LONG, "5000"),
        (Scalar.LONG, True),
        (Scalar.LONG, 5.5),
        (Scalar.BOOL, 1),
        (Scalar.BOOL, "true"),
        (Scalar.DECIMAL, "1.5"),
        (Scalar.DECIMAL, False),
        (Scalar.DECIMAL, []),
    ],
)
def test_a_value_of_another_type_is_refused_not_coerced(kind: Scalar, value: Json) -> None:
    assert cause({"x": value}, ONE[kind]) == "E3"


@pytest.mark.requirement("E3")
@pytest.mark.parametrize("value", ["a", {"a": 1}, 3])
def test_containers_are_refused_for_other_values(value: Json) -> None:
    assert cause({"hosts": value}) == "E3"
    assert cause({"options": [value]}) == "E3"


@pytest.mark.requirement("E3")
def test_an_integral_number_is_an_integer() -> None:
    assert encode({"x": 5.0}, ONE[Scalar.LONG]) == encode({"x": 5}, ONE[Scalar.LONG])


@pytest.mark.requirement("E4")
@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2.0**63, 10**400, 1e300])
def test_an_integer_beyond_64_bits_is_refused(value: float) -> None:
    assert cause({"x": value}, ONE[Scalar.LONG]) == "E4"


@pytest.mark.requirement("E4")
@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_the_ends_of_64_bits_are_kept(value: int) -> None:
    assert encode({"x": value}, ONE[Scalar.LONG]) == Encoded({"x": value}, ())


@pytest.mark.requirement("E4")
@pytest.mark.parametrize(
    "value",
    [1.00001, 1e-5, 922337203685478.0, -922337203685478, 10**400, float("inf"), float("nan")],
)
def test_a_number_without_exact_decimal_is_refused(value: float) -> None:
    assert cause({"x": value}, ONE[Scalar.DECIMAL]) == "E4"


@pytest.mark.requirement("E5")
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1200.5, "1200.5000"),
        (-0.0, "0.0000"),
        (1e3, "1000.0000"),
        (0.0001, "0.0001"),
        (7, "7.0000"),
    ],
)
def test_a_number_is_written_with_four_digits(value: float, text: str) -> None:
    expected: Json = {"__extn": {"fn": "decimal", "arg": text}}
    assert encode({"x": value}, ONE[Scalar.DECIMAL]) == Encoded({"x": expected}, ())


@pytest.mark.requirement("E6")
def test_null_is_absent_but_in_an_array_it_is_refused() -> None:
    assert encode({"env": None}) == encode({})
    assert cause({"hosts": ["a", None]}) == "E6"


@pytest.mark.requirement("E7")
@pytest.mark.parametrize("value", ["", "\0", "e\u0301", "É", "\U0001f600"])
def test_a_string_is_kept_as_it_is(value: str) -> None:
    assert encode({"env": value}) == Encoded({"env": value}, ())


@pytest.mark.requirement("E7")
@pytest.mark.parametrize(
    "value", [{"env": "\ud800"}, {"note": ["\udfff"]}, {"\ud800": 1}, {"note": {"\ud800": 1}}]
)
def test_a_lone_surrogate_is_refused_wherever_it_stands(value: JsonObject) -> None:
    assert cause(value) == "E7"


@pytest.mark.requirement("E8")
def test_what_no_policy_sees_is_reported_by_pointer() -> None:
    value: JsonObject = {"options": {"x/y~z": 1}, "extra": [1]}
    found = encode(value)
    assert isinstance(found, Encoded)
    assert found.unmodelled == ("/options/x~1y~0z", "/extra")


@pytest.mark.requirement("E10")
def test_a_refusal_names_pointer_and_expectation() -> None:
    found = encode({"env": "prod", "options": {"dry_run": "yes"}})
    assert found == EncodeRefusal(
        Reason.NOT_REPRESENTABLE, "/options/dry_run", "true or false", "E3"
    )


@pytest.mark.requirement("E11")
def test_an_argument_that_no_statement_names_is_left_out() -> None:
    named = frozenset({"env"})
    found = arguments({"env": "a", "hosts": ["b"]}, DEPLOY, named=named, strict=True)
    assert found == Encoded({"env": "a"}, ())


@pytest.mark.requirement("E12")
@pytest.mark.parametrize("value", [{"budget": 1.23456}, {"budget": "x"}, {"hosts": ["a", 1]}])
def test_an_unnamed_argument_without_representation_is_unmodelled_when_relaxed(
    value: JsonObject,
) -> None:
    relaxed = arguments(value, DEPLOY, named=frozenset(), strict=False)
    assert relaxed == Encoded({}, tuple(f"/{name}" for name in value))
    assert isinstance(arguments(value, DEPLOY, named=frozenset(), strict=True), EncodeRefusal)
    assert isinstance(arguments(value, DEPLOY, named=frozenset(value), strict=False), EncodeRefusal)


@pytest.mark.requirement("E12")
def test_relaxed_forgives_neither_reserved_keys_nor_null_in_arrays() -> None:
    for value in ({"env": {"__extn": 1}}, {"hosts": [None]}, {"env": "\ud800"}):
        found = arguments(dict(value), DEPLOY, named=frozenset(), strict=False)  # type: ignore[arg-type]  # JSON
        assert isinstance(found, EncodeRefusal)


def test_arguments_of_prompts_are_all_unmodelled() -> None:
    assert unmodelled({"a": 1, "b": "x", "c": None}) == Encoded({}, ("/a", "/b"))
    assert isinstance(unmodelled({"a": {"__extn": 1}}), EncodeRefusal)


def test_pointers_escape_their_steps() -> None:
    assert pointer("/a", "b/c~d") == "/a/b~1c~0d"
    assert pointer("", 3) == "/3"


keys = st.sampled_from(["a", "b", "if", "x y", "__entity", "é"])
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=True)
    | st.decimals(-100, 100, places=3).map(float)
    | st.text(st.characters(codec="utf-8"), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
scalar_schemas: st.SearchStrategy[Any] = st.sampled_from(
    [{"type": kind} for kind in ("string", "integer", "number", "boolean")]
)
schemas: st.SearchStrategy[Any] = st.recursive(
    scalar_schemas,
    lambda inner: (
        inner.map(lambda items: {"type": "array", "items": items})
        | st.dictionaries(keys, inner, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties}
        )
    ),
    max_leaves=5,
)


def matching(schema: Any) -> st.SearchStrategy[Any]:
    """Mostly values of the schema's type, sometimes any."""
    kind = schema.get("type")
    fitting: st.SearchStrategy[Any] = {
        "string": st.text(st.characters(codec="utf-8"), max_size=4),
        "integer": st.integers(-(2**63), 2**63 - 1),
        "number": st.decimals(-1000, 1000, places=4).map(float),
        "boolean": st.booleans(),
    }.get(kind, json_values)
    if kind == "array":
        fitting = st.lists(matching(schema["items"]), max_size=3)
    if kind == "object":
        properties = schema["properties"].items()
        fitting = st.fixed_dictionaries(
            {}, optional={key: matching(one) for key, one in properties}
        )
    return st.one_of(fitting, fitting, fitting, json_values)


@st.composite
def calls(draw: st.DrawFn) -> tuple[dict[str, Any], JsonObject]:
    properties = draw(st.dictionaries(keys, schemas, max_size=4))
    return properties, draw(
        st.fixed_dictionaries({}, optional={key: matching(one) for key, one in properties.items()})
    )


@pytest.mark.requirement("E1", "E4", "E5", "E6")
@given(call=calls())
@settings(max_examples=150, deadline=None)
def test_what_is_encoded_is_always_decided(call: tuple[dict[str, Any], JsonObject]) -> None:
    properties, value = call
    where = World(render([ServiceView("x", "XMCP", (make_tool("t", properties=properties),))]))
    found = arguments(value, where.schema.shapes["x", "t"].input, named=None, strict=True)
    assume(isinstance(found, Encoded))
    decision = engine.decide(where.snapshot(PERMIT_ALL), where.request("x", "t", value))
    assert decision.reason is Reason.PERMITTED, decision.errors


@given(call=calls(), named=st.frozensets(keys))
@settings(max_examples=150, deadline=None)
def test_relaxed_and_strict_agree_wherever_both_encode(
    call: tuple[dict[str, Any], JsonObject], named: frozenset[str]
) -> None:
    properties, value = call
    shape = render([ServiceView("x", "XMCP", (make_tool("t", properties=properties),))])
    one = shape.shapes["x", "t"].input
    relaxed = arguments(value, one, named=named, strict=False)
    strict = arguments(value, one, named=named, strict=True)
    if isinstance(strict, Encoded):
        assert relaxed == strict


def test_a_set_of_records_keeps_its_elements() -> None:
    shape = Record({"x": SetOf(Record({"a": Scalar.LONG}))})
    assert encode({"x": [{"a": 1}, {"a": 1}, {"b": 2}]}, shape) == Encoded(
        {"x": [{"a": 1}, {"a": 1}, {}]}, ("/x/2/b",)
    )
