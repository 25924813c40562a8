"""Comments and trailing commas are accepted, whatever else is no JSON stays refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.connectors import jsonc


def test_comments_and_trailing_commas_are_left_out() -> None:
    text = '{ // line\n "a": [1, 2, /* block, ] */ ], "b": {"c": 3,\n}, }'
    assert jsonc.decode(text) == {"a": [1, 2], "b": {"c": 3}}


def test_what_stands_in_a_text_is_kept() -> None:
    text = r'{"url": "http://host//a,]", "q": "\"// no, }"}'
    assert jsonc.decode(text) == {"url": "http://host//a,]", "q": '"// no, }'}


@given(st.recursive(st.text() | st.integers(-(2**53), 2**53) | st.none(), st.lists, max_leaves=9))
def test_plain_json_means_what_it_meant(value: object) -> None:
    assert jsonc.decode(json.dumps({"v": value}, ensure_ascii=False)) == {"v": value}


@pytest.mark.parametrize(
    "text", ["", "{", "{'a': 1}", '{"a": 1 "b": 2}', '{"a": "x', "[" * 100_000]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no JSON"):
        jsonc.decode(text)
