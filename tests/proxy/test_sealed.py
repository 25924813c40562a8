"""A sealed round continues the one call it was made for, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.upstreams import agent, call
from wicketd.domain.calls import Call
from wicketd.domain.ids import AgentId
from wicketd.domain.json import JsonObject
from wicketd.proxy import sealed

ASKED: JsonObject = {"inputRequests": {"b": {}, "a": {}}, "requestState": "theirs"}
ROOT = call(arguments={"x": 1, "y": 2})


def test_a_round_says_what_was_asked_and_under_which_call() -> None:
    found = sealed.read(sealed.written(ROOT, ASKED, ROOT.at_ms), ROOT)
    assert found is not None
    assert (found.call_id, found.number, found.keys, found.state) == (
        ROOT.id,
        1,
        ["a", "b"],
        "theirs",
    )
    bare = sealed.read(sealed.written(replace(ROOT, round=3), {}, ROOT.at_ms), ROOT)
    assert bare is not None
    assert (bare.number, bare.keys, bare.state) == (4, [], None)


def test_the_order_of_the_arguments_does_not_matter() -> None:
    opened = sealed.written(ROOT, ASKED, ROOT.at_ms)
    assert sealed.read(opened, replace(ROOT, arguments={"y": 2, "x": 1})) is not None


def of_other_agent() -> Call:
    other = replace(agent(), id=AgentId("018f0000-0000-7000-8000-0000000000ff"))
    return replace(ROOT, caller=replace(ROOT.caller, agent=other))


@pytest.mark.parametrize(
    "other",
    [
        replace(ROOT, name="other"),
        replace(ROOT, service="other"),
        replace(ROOT, method="prompts/get"),
        replace(ROOT, arguments={"x": 1}),
        replace(ROOT, at_ms=ROOT.at_ms + sealed.EXPIRES_MS),
        call(arguments={"x": 1, "y": 2}, member="018f0000-0000-7000-8000-0000000000ee"),
        of_other_agent(),
    ],
)
def test_it_continues_no_other_call(other: Call) -> None:
    assert sealed.read(sealed.written(ROOT, ASKED, ROOT.at_ms), other) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"agent": 1}', b"\xff"])
def test_what_is_no_round_continues_nothing(content: bytes) -> None:
    assert sealed.read(content, ROOT) is None


@given(st.binary(max_size=64))
def test_a_token_gives_back_what_it_took(content: bytes) -> None:
    assert sealed.sealed_in(sealed.token(content)) == content


@pytest.mark.parametrize(
    "state", ["", "wrs1", "abc", "wrs1.a", "wrs1.YQ==", "wrs1.Y R", "wrs1.Yß", "wrs2.YQ", "wrs1.YR"]
)
def test_a_foreign_or_respelt_token_is_none_of_ours(state: str) -> None:
    assert sealed.sealed_in(state) is None


def test_a_token_over_its_cap_is_not_read() -> None:
    whole: Any = sealed.token(bytes(sealed.TOKEN_MAX))
    assert sealed.sealed_in(whole) is None
