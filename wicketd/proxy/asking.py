"""Questions of upstreams on their way to a legacy client, and its replies on their way back.

Counterpart of `proxy.session`, which gives each question its id on the wire, and of
`proxy.responder`, to whose request they belong. Invariant: each question gets exactly one reply,
the client's own or what `relaying` says for one that does not come (protocol spec, 4.5 and 5).
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from wicketd.domain.json import JsonObject
from wicketd.proxy import relaying
from wicketd.proxy.session_table import LegacySession

INPUT_TIMEOUT_S: Final = 300.0
"""How long a person may think about a question, unless the setting `input_timeout_s` says else."""
_ID: Final = "elicitationId"


class Questions:
    """The questions of one request of a legacy session."""

    def __init__(self, session: LegacySession, front_id: int | str, timeout_s: float) -> None:
        self._session = session
        self._front_id = front_id
        self._timeout_s = timeout_s
        self._open: dict[int, asyncio.Future[JsonObject]] = {}
        self._count = 0
        self._minted: dict[str, str] = {}

    async def ask(self, questions: Mapping[str, JsonObject]) -> dict[str, JsonObject]:
        """Puts all of them to the client at once; gives a reply for each, with result or error."""
        numbers = {key: self._put(question) for key, question in questions.items()}
        waiting = {key: self._open[number] for key, number in numbers.items()}
        try:
            await asyncio.wait(waiting.values(), timeout=self._timeout_s)
            return {
                key: reply.result() if reply.done() else relaying.unanswered(questions[key])
                for key, reply in waiting.items()
            }
        finally:
            for number in numbers.values():
                if not self._open.pop(number).done():
                    self._session.unasked(self._front_id, number)

    def replied(self, asked: int, reply: JsonObject) -> None:
        """The client's own reply to a question."""
        self._settle(asked, relaying.reply(reply))

    def unasked(self, asked: int) -> None:
        """A question reaches nobody."""
        self._settle(asked, relaying.unasked())

    def minted(self, elicitation_id: object) -> str | None:
        """The id under which the client knows an upstream's elicitation by URL."""
        return self._minted.get(elicitation_id) if isinstance(elicitation_id, str) else None

    def _settle(self, asked: int, reply: JsonObject) -> None:
        waiting = self._open.get(asked)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def _put(self, question: JsonObject) -> int:
        self._count += 1
        number = self._count
        self._open[number] = asyncio.get_running_loop().create_future()
        self._session.asked(self._front_id, number, self._own(question))
        return number

    def _own(self, question: JsonObject) -> JsonObject:
        """The question with an elicitation id of ours, where its kind has one."""
        params = question.get("params")
        if not isinstance(params, dict) or params.get("mode") != "url":
            return question
        own, theirs = self._session.new_id(), params.get(_ID)
        if isinstance(theirs, str):
            self._minted[theirs] = own
        return {**question, "params": {**params, _ID: own}}
