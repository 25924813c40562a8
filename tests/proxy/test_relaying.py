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
    assert relaying.declared(client, relay, "2026-07-28") == found


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
        (asked("elicitation/create", mode="url", url=URL + "x" * 2_048), False),
        (asked("elicitation/create", mode="url"), False),
        (asked("elicitation/create", mode=1), False),
        (asked("tasks/get"), False),
        ({"inputRequests": {"k": 1}}, False),
        ({"inputRequests": []}, False),
        ({"inputRequests": {str(n): {"method": "roots/list"} for n in range(33)}}, False),
        (asked("roots/list", text="x" * 256 * 1024), False),
        ({"requestState": "s"}, True),
        ({"requestState": 1}, False),
        ({"requestState": "s" * (64 * 1024 + 1)}, False),
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


EVERYTHING: JsonObject = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {"tools": {}},
    "roots": {},
}


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("2025-11-25", EVERYTHING),
        ("2025-06-18", {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}),
        ("2025-03-26", {"sampling": {}, "roots": {}}),
    ],
)
def test_a_revision_declares_only_what_it_has_words_for(version: str, found: JsonObject) -> None:
    assert relaying.declared(EVERYTHING, ALL, version) == found


def missing(**required: Any) -> JsonObject:
    return {"code": -32021, "data": {"requiredCapabilities": required}}


@pytest.mark.parametrize(
    ("error", "client", "granted", "word"),
    [
        (missing(sampling={}), {"sampling": {}}, {}, "sampling"),
        (missing(sampling={}), {}, {}, None),
        (missing(sampling={}), {"sampling": {}}, {"sampling": {}}, None),
        (missing(elicitation={}), {"elicitation": {}}, {}, "elicitation.form"),
        (missing(elicitation={"url": {}}), {"elicitation": {"url": {}}}, {}, "elicitation.url"),
        (missing(roots={}), {"roots": {}}, {}, "roots"),
        ({"code": -32021}, EVERYTHING, {}, None),
    ],
)
def test_what_relay_alone_keeps_back_is_named(
    error: JsonObject, client: JsonObject, granted: JsonObject, word: str | None
) -> None:
    assert relaying.withheld(error, client, granted) == word


def test_a_question_and_its_reply_lose_what_nobody_declared() -> None:
    result = asked("roots/list", task={}, _meta={"x": 1})
    assert relaying.questions(result) == {"k": {"method": "roots/list", "params": {}}}
    assert relaying.questions({"requestState": "s"}) == {}
    assert relaying.reply({"result": {"roots": [], "_meta": {}}}) == {"result": {"roots": []}}
    refused: JsonObject = {"error": {"code": -1, "message": "m" * 9000, "data": {}}}
    assert relaying.reply(refused) == {"error": {"code": -1, "message": "m" * relaying.WORDS_MAX}}
    assert relaying.reply({"result": 1})["error"]


def test_a_form_that_is_refused_or_late_is_cancelled_and_a_model_is_not_made_up() -> None:
    form: JsonObject = {"method": "elicitation/create", "params": {}}
    model: JsonObject = {"method": "sampling/createMessage", "params": {}}
    assert relaying.unanswered(form) == {"result": {"action": "cancel"}}
    assert "error" in relaying.unanswered(model)
    refused: JsonObject = {"error": {"code": -1, "message": "no"}}
    assert relaying.inputs({"f": form}, {"f": refused}) == {"f": {"action": "cancel"}}
    assert relaying.inputs({"f": form, "m": model}, {"f": refused, "m": refused}) is None
    assert relaying.inputs({"m": model}, {"m": {"result": {"role": "x"}}}) == {"m": {"role": "x"}}
