"""One exchange with an upstream: write a request, listen until its answer. No retries here.

Over HTTP here, over pipes in `stdio`. Counterpart of `net.client` below and of `answers`, which
reads what was heard. Bodies of 401 and 403 answers are never read: they may echo credentials.
Source: protocol spec, 4.1 and 4.7.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

from wicketd.domain.errors import Malformed, Upstream
from wicketd.domain.ports import Spawn
from wicketd.net.client import Endpoint, Response
from wicketd.proxy.inbound import Heard, Message, decode
from wicketd.proxy.outbound import Outgoing
from wicketd.proxy.sse import Decoder
from wicketd.proxy.stdio import Pipe

EXCHANGE_BYTES_MAX: Final = 32 * 1024 * 1024
EXCHANGE_LINES_MAX: Final = 250_000
"""Far more than 10,000 notifications have, and still cheap to read."""
REFUSAL_BYTES_MAX: Final = 64 * 1024
_DRAIN_S: Final = 1.0
_DRAIN_BYTES_MAX: Final = 64 * 1024
_SILENT: Final = (401, 403)
_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"

Listener: TypeAlias = Callable[[Message | None], None]
"""Takes what is not our answer; None: something that is no message."""


class Exchanges:
    """Runs exchanges. `spawn` takes the rest of a stream whose answer has arrived."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn

    async def ask(
        self,
        endpoint: Endpoint | Pipe,
        outgoing: Outgoing,
        listener: Listener,
        result_bytes_max: int,
    ) -> Heard:
        """Sends a request and listens until its answer; the caller sets the deadline.

        Raises:
            Unreachable: there is no connection, or it ended before an answer.
            Malformed: the answer breaks the protocol or a cap.
        """
        if isinstance(endpoint, Pipe):
            return await endpoint.ask(outgoing, listener, result_bytes_max)
        response = await endpoint.request(outgoing.method, outgoing.headers, outgoing.body)
        try:
            if response.status != 200:
                return await _refused(response, outgoing)
            if response.media_type == _EVENTS:
                return await self._stream(response, outgoing, listener, result_bytes_max)
            if response.media_type == _JSON:
                return await _document(response, outgoing, listener, result_bytes_max)
            raise Malformed("The answer is neither JSON nor an event stream.")
        finally:
            if not response.is_draining:
                response.close()

    async def tell(self, endpoint: Endpoint | Pipe, outgoing: Outgoing) -> int:
        """Sends a message that needs no answer, and gives the status.

        Raises:
            Unreachable: there is no connection, or it ended before an answer.
            Malformed: the head of the answer breaks the protocol or a cap.
        """
        if isinstance(endpoint, Pipe):
            return await endpoint.tell(outgoing)
        response = await endpoint.request(outgoing.method, outgoing.headers, outgoing.body)
        response.close()
        return response.status

    async def _stream(
        self, response: Response, outgoing: Outgoing, listener: Listener, event_bytes_max: int
    ) -> Heard:
        decoder = Decoder(event_bytes_max)
        size_bytes = 0
        try:
            async for chunk in response.chunks(EXCHANGE_BYTES_MAX, "exchange_bytes"):
                size_bytes += len(chunk)
                events = decoder.feed(chunk)
                _require_within_cap(decoder)
                if not events:
                    continue
                response.consumed()
                texts = [event.data for event in events if event.data]
                answer = _answer_among(texts, outgoing, listener)
                if answer is not None:
                    self._finish(response)
                    return _heard(response, answer, size_bytes)
        except Malformed as error:
            if error.cap is not None or decoder.last_event_id is None:
                raise
        return Heard(
            status=response.status,
            has_ended_stream=True,
            event_id=decoder.last_event_id,
            retry_ms=decoder.retry_ms,
        )

    def _finish(self, response: Response) -> None:
        """Lets the last bytes of a stream arrive, so that its connection can be kept."""
        if not response.is_complete:
            response.is_draining = True
            self._spawn(_drain(response), name="upstream-drain")


def _require_within_cap(decoder: Decoder) -> None:
    if decoder.overflowed:
        raise Malformed("An event is larger than its cap.", cap="max_result_bytes")
    if decoder.lines > EXCHANGE_LINES_MAX:
        raise Malformed("A stream has too many lines.", cap="exchange_lines")


async def _drain(response: Response) -> None:
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in response.chunks(_DRAIN_BYTES_MAX, "drain_bytes"):
                response.consumed()
    except (Upstream, TimeoutError):
        pass  # a server that keeps the stream open loses this connection, nothing else
    finally:
        response.close()


async def _document(
    response: Response, outgoing: Outgoing, listener: Listener, result_bytes_max: int
) -> Heard:
    body = await response.read(result_bytes_max, "max_result_bytes")
    answer = _answer_among([body], outgoing, listener)
    if answer is None:
        raise Malformed("The answer does not carry the id of its request.")
    return _heard(response, answer, len(body))


async def _refused(response: Response, outgoing: Outgoing) -> Heard:
    """Reads the JSON-RPC error that may stand under a status other than 200."""
    if response.status in _SILENT or response.media_type != _JSON or response.status >= 500:
        return _heard(response, None, 0)
    body = await response.read(REFUSAL_BYTES_MAX, "refusal_bytes")
    messages = decode(body, may_batch=False) or []
    ours = [message for message in messages if outgoing.id and message.answers(outgoing.id)]
    return _heard(response, ours[0] if ours else None, len(body))


def _answer_among(texts: list[bytes], outgoing: Outgoing, listener: Listener) -> Message | None:
    """The answer in what has arrived; everything else goes to the listener.

    Raises:
        Malformed: the answer is there twice.
    """
    answer: Message | None = None
    for text in texts:
        messages = decode(text, may_batch=outgoing.may_batch)
        if messages is None:
            listener(None)
            continue
        for message in messages:
            if outgoing.id is None or not message.answers(outgoing.id):
                listener(message)
            elif answer is None:
                answer = message
            else:
                raise Malformed("The answer carries the id of its request twice.")
    return answer


def _heard(response: Response, answer: Message | None, size_bytes: int) -> Heard:
    return Heard(
        status=response.status,
        answer=answer,
        size_bytes=size_bytes,
        session_id=response.headers.get("Mcp-Session-Id"),
        challenge=response.headers.get("WWW-Authenticate", ""),
    )
