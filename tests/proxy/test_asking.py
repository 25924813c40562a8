"""Questions to a legacy client get one reply each: its own, or the one of a client that is late."""

import asyncio

from typing_extensions import override

from tests.proxy.test_session import CLIENT, Call, make_table
from tests.support.fronts import eventually, make_caller
from wicketd.domain.json import JsonObject
from wicketd.proxy import relaying
from wicketd.proxy.asking import Questions
from wicketd.proxy.session_table import LegacySession

FORM: JsonObject = {"method": "elicitation/create", "params": {"message": "Who?"}}
MODEL: JsonObject = {"method": "sampling/createMessage", "params": {}}


class Asked(Call):
    """A running call that passes on what its session says."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: Questions | None = None
        self.sent: list[JsonObject] = []

    @override
    def put(self, message: JsonObject) -> None:
        self.sent.append(message)

    @override
    def replied(self, asked: int, reply: JsonObject) -> None:
        assert self.questions is not None
        self.questions.replied(asked, reply)

    @override
    def unasked(self, asked: int) -> None:
        assert self.questions is not None
        self.questions.unasked(asked)


def begun(timeout_s: float = 5.0) -> tuple[LegacySession, Asked, Questions]:
    session = make_table()[0].create(make_caller("ana"), CLIENT)
    call = Asked()
    assert session.begin(1, call) is None
    call.questions = Questions(session, 1, timeout_s)
    return session, call, call.questions


async def test_replies_find_their_questions_in_any_order() -> None:
    session, call, questions = begun()
    asking = asyncio.ensure_future(questions.ask({"a": FORM, "b": MODEL}))
    await eventually(lambda: len(call.sent) == 2)
    assert [message["id"] for message in call.sent] == ["w1", "w2"]
    session.replied({"id": "w2", "result": {"role": "assistant"}})
    session.replied({"id": "w1", "result": {"action": "accept"}})
    assert await asking == {
        "a": {"result": {"action": "accept"}},
        "b": {"result": {"role": "assistant"}},
    }


async def test_who_does_not_answer_in_time_has_cancelled_and_is_told_so() -> None:
    session, call, questions = begun(timeout_s=0.01)
    replies = await questions.ask({"a": FORM, "b": MODEL})
    assert replies["a"] == {"result": {"action": "cancel"}}
    assert "error" in replies["b"]
    given_up = [message["params"] for message in call.sent if "id" not in message]
    assert [params["requestId"] for params in given_up] == ["w1", "w2"]  # type: ignore[index, call-overload]  # JSON
    session.replied({"id": "w1", "result": {"action": "accept"}})


async def test_a_session_that_is_over_can_be_asked_nothing() -> None:
    session, _, questions = begun()
    session.close()
    assert await questions.ask({"a": FORM}) == {"a": relaying.unasked()}


async def test_an_elicitation_by_url_goes_by_an_id_of_ours() -> None:
    session, call, questions = begun()
    params: JsonObject = {"mode": "url", "url": "https://a.example", "elicitationId": "theirs"}
    asking = asyncio.ensure_future(questions.ask({"": {**FORM, "params": params}}))
    await eventually(lambda: bool(call.sent))
    sent = call.sent[0]["params"]
    assert isinstance(sent, dict)
    assert sent["elicitationId"] == questions.minted("theirs") != "theirs"
    session.replied({"id": "w1", "result": {"action": "accept"}})
    await asking
    assert questions.minted("another") is questions.minted(None) is None
