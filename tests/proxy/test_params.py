"""Rules of params as data: required, optional, null, wrong types."""

from typing import Any

import pytest

from wicketd.domain.calls import RefusalKind
from wicketd.proxy.params import Shape, misfit, optional, required

RULES = (
    required("ref/type", Shape.STRING),
    optional("arguments", Shape.OBJECT),
    optional("texts", Shape.STRINGS),
    optional("level", Shape.LEVEL),
    optional("uris", Shape.URIS),
)
REF: dict[str, Any] = {"ref": {"type": "x"}}


@pytest.mark.requirement("M9")
@pytest.mark.parametrize(
    "params",
    [
        REF,
        {**REF, "arguments": {}},
        {**REF, "arguments": None},
        {**REF, "texts": {"a": "b"}},
        {**REF, "level": "emergency"},
        {**REF, "uris": []},
        {**REF, "uris": ["a"] * 256},
        {**REF, "other": 5},
    ],
)
def test_params_that_fit_pass(params: dict[str, Any]) -> None:
    assert misfit(RULES, params) is None


@pytest.mark.requirement("M9")
@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "params/ref/type"),
        ({"ref": None}, "params/ref/type"),
        ({"ref": "x"}, "params/ref/type"),
        ({"ref": {"type": None}}, "params/ref/type"),
        ({"ref": {"type": 5}}, "params/ref/type"),
        ({**REF, "arguments": []}, "params/arguments"),
        ({**REF, "arguments": False}, "params/arguments"),
        ({**REF, "texts": {"a": 1}}, "params/texts"),
        ({**REF, "texts": []}, "params/texts"),
        ({**REF, "level": "loud"}, "params/level"),
        ({**REF, "level": {}}, "params/level"),
        ({**REF, "uris": ["a"] * 257}, "params/uris"),
        ({**REF, "uris": [None]}, "params/uris"),
        ({**REF, "uris": "a"}, "params/uris"),
    ],
)
def test_the_first_misfit_is_named_without_its_value(params: dict[str, Any], field: str) -> None:
    refusal = misfit(RULES, params)
    assert refusal is not None
    assert refusal.kind is RefusalKind.PARAMS
    assert refusal.values["field"] == field
    assert set(refusal.values) == {"field", "expected"}
