"""URIs of upstreams under their service's prefix: what is rewritten, and what must not be."""

from typing import Any

import pytest

from tests.support.upstreams import call
from wicketd.domain.calls import Era, Subject
from wicketd.domain.json import JsonObject
from wicketd.proxy import rewrites


def of(method: str, **changes: Any) -> Any:
    return call("a", method=method, service="s", **changes)


def test_links_and_embedded_resources_get_the_prefix_and_web_addresses_stay() -> None:
    blocks: list[Any] = [
        {"type": "resource_link", "uri": "repo://a"},
        {"type": "resource_link", "uri": "https://a.example"},
        {"type": "resource", "resource": {"uri": "repo://b", "text": "repo://c"}},
        {"type": "text", "text": "repo://d"},
        None,
    ]
    sent: JsonObject = {"content": blocks, "structuredContent": {"uri": "repo://e"}}

    found = rewrites.result(sent, of("tools/call"))

    assert found == {
        "content": [
            {"type": "resource_link", "uri": "s+repo://a"},
            {"type": "resource_link", "uri": "https://a.example"},
            {"type": "resource", "resource": {"uri": "s+repo://b", "text": "repo://c"}},
            {"type": "text", "text": "repo://d"},
            None,
        ],
        "structuredContent": {"uri": "repo://e"},
    }


def test_contents_of_a_resource_get_the_prefix_also_when_they_are_on_the_web() -> None:
    sent: JsonObject = {"contents": [{"uri": "https://a.example", "text": "t"}, {"text": "t"}, 1]}
    found = rewrites.result(sent, of("resources/read", subject=Subject.RESOURCE))
    assert found == {"contents": [{"uri": "s+https://a.example", "text": "t"}, {"text": "t"}, 1]}


def test_messages_of_a_prompt_get_the_prefix() -> None:
    block: JsonObject = {"type": "resource", "resource": {"uri": "repo://a"}}
    sent: JsonObject = {"messages": [{"role": "user", "content": block}, "odd"]}
    found = rewrites.result(sent, of("prompts/get"))
    inner = {"type": "resource", "resource": {"uri": "s+repo://a"}}
    assert found == {"messages": [{"role": "user", "content": inner}, "odd"]}


@pytest.mark.parametrize(
    ("values", "kept"), [(["v"] * 101, ["v"] * 100), (None, []), (["a"], ["a"])]
)
def test_a_completion_has_at_most_a_hundred_values(values: Any, kept: list[str]) -> None:
    found = rewrites.result({"completion": {"values": values}}, of("completion/complete"))
    assert found == {"completion": {"values": kept}}
    assert rewrites.result({"completion": 1}, of("completion/complete")) == {"completion": 1}


def test_results_of_other_methods_and_shapes_pass_unchanged() -> None:
    assert rewrites.result({"contents": 1}, of("resources/subscribe")) == {"contents": 1}
    assert rewrites.result({"content": 1}, of("tools/call")) == {"content": 1}


@pytest.mark.parametrize(("era", "code"), [(Era.LEGACY, -32002), (Era.MODERN, -32602)])
def test_a_missing_resource_is_told_in_the_code_of_the_clients_era(era: Era, code: int) -> None:
    sent: JsonObject = {"code": -32602, "message": "no", "data": {"uri": "a"}}
    found = rewrites.error(sent, of("resources/read", subject=Subject.RESOURCE, era=era))
    assert found == {"code": code, "message": "no", "data": {"uri": "s+a"}}
    plain: JsonObject = {"code": 1, "message": "no"}
    assert rewrites.error(plain, of("tools/call")) == plain
