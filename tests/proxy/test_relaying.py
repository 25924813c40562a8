"""What is declared to an upstream, and that it asks for nothing else."""

from typing import Any

import pytest

from wicketd.domain.json import JsonObject
from wicketd.proxy import relaying

ALL = ("elicitation.form", "elicitation.url", "sampling", "roots")


@pytest.mark.parametrize(
    ("client", "relay", "found"),
    [
        ({}, ALL, {}),
        ({"elicitation": {}}, ALL, {"elicitation": {"form": {}}}),
        ({"elicitation": {"url": {}}}, ALL, {"elicitation": {"url": {}}}),
        (
            {"elicitation": {"form": {}, "url": {}}},
            ("elicitation.form",),
            {"elicitation": {"form": {}}},
        ),
        ({"elicitation": {}}, ("sampling",), {}),
        ({"sampling": {"tools": {"x": 1}, "other": {}}}, ALL, {"sampling": {"tools": {}}}),
        ({"sampling": {}, "roots": {}}, ("elicitation.form",), {}),
        ({"roots": {"listChanged": True}, "extensions": {}}, ALL, {"roots": {}}),
        ({"roots": 1, "sampling": None, "elicitation": "x"}, ALL, {}),
    ],
)
def test_declared_is_what_client_and_connector_both_admit(
    client: JsonObject, relay: tuple[str, ...], found: JsonObject
) -> None:
    assert relaying.declared(client, relay) == found


def asked(method: str, **params: Any) -> JsonObject:
    return {"inputRequests": {"k": {"method": method, "params": params}}}


URL = "https://a.example/x"


@pytest.mark.parametrize(
    ("result", "may"),
    [
        (asked("roots/list"), True),
        (asked("sampling/createMessage", messages=[]), True),
        (asked("sampling/createMessage", tools=[]), False),
        (asked("elicitation/create", message="m"), True),
        (asked("elicitation/create", mode="url", url=URL), True),
        (asked("elicitation/create", mode="url", url="http://a.example"), False),
        (asked("elicitation/create", mode="url", url="https://["), False),
        (asked("elicitation/create", mode="url", url=URL + "x" * relaying.URL_MAX), False),
        (asked("elicitation/create", mode="url"), False),
        (asked("elicitation/create", mode=1), False),
        (asked("tasks/get"), False),
        ({"inputRequests": {"k": 1}}, False),
        ({"inputRequests": []}, False),
        ({"inputRequests": {str(n): {"method": "roots/list"} for n in range(33)}}, False),
        (asked("roots/list", text="x" * relaying.ASKED_BYTES_MAX), False),
        ({"requestState": "s"}, True),
        ({"requestState": 1}, False),
        ({"requestState": "s" * (relaying.STATE_MAX + 1)}, False),
        ({}, False),
    ],
)
def test_questions_pass_only_if_they_were_declared(result: JsonObject, may: bool) -> None:
    capabilities: JsonObject = {
        "elicitation": {"form": {}, "url": {}},
        "sampling": {},
        "roots": {},
    }
    assert relaying.may_pass(result, capabilities) is may


@pytest.mark.parametrize("method", ["roots/list", "sampling/createMessage", "elicitation/create"])
def test_nothing_passes_where_nothing_was_declared(method: str) -> None:
    assert not relaying.may_pass(asked(method), {})


def test_sampling_with_tools_passes_where_it_was_declared() -> None:
    assert relaying.may_pass(asked("sampling/createMessage", tools=[]), {"sampling": {"tools": {}}})
    assert not relaying.may_pass(
        {"inputRequests": {"k": {"method": "sampling/createMessage", "params": 1}}},
        {"sampling": {}},
    )


def test_the_client_gets_the_questions_under_our_state_and_nothing_unknown() -> None:
    sent: JsonObject = {"inputRequests": {}, "requestState": "theirs", "other": 1}
    assert relaying.is_input_required({"resultType": "input_required"})
    assert not relaying.is_input_required(None)
    assert relaying.asking(sent, "ours") == {
        "resultType": "input_required",
        "inputRequests": {},
        "requestState": "ours",
    }
