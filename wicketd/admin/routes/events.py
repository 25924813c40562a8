"""The event stream: what changes, as it changes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from wicketd.admin import mapping
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api import events as wire
from wicketd.api.types.status import EventsAsk
from wicketd.domain.errors import BadRequest
from wicketd.domain.ids import AgentId
from wicketd.services.events import Event, Events, Subscription, Topic


async def stream(uses: UseCases, ask: Ask[EventsAsk]) -> AsyncIterator[bytes]:
    """Events behind `Last-Event-ID`, or from now on."""
    topics = _topics(ask.request.topics)
    agent = None if ask.request.agent is None else await uses.agents.get(ask.request.agent)
    listener = uses.events.subscribe(topics, _last_id(ask.last_event_id))
    return _frames(uses.events, listener, None if agent is None else agent.id)


async def _frames(
    events: Events, listener: Subscription, agent: AgentId | None
) -> AsyncIterator[bytes]:
    try:
        yield wire.PING
        while True:
            batch = await listener.next(wire.PING_S)
            if batch is None:
                yield wire.PING
                continue
            if batch.resync:
                yield wire.encode(wire.Event(id=str(events.newest), topic=wire.RESYNC, data={}))
            frames = [_frame(e) for e in batch.events if agent in (None, e.agent_id)]
            if frames:
                yield b"".join(frames)
            await asyncio.sleep(wire.BATCH_S)
    finally:
        listener.close()


def _frame(event: Event) -> bytes:
    data = {"at": mapping.iso(event.at_ms), "agent_id": event.agent_id, **event.data}
    return wire.encode(wire.Event(id=str(event.id), topic=event.topic.value, data=data))


def _topics(text: str | None) -> frozenset[Topic]:
    if text is None:
        return frozenset(Topic)
    try:
        return frozenset(Topic(name.strip()) for name in text.split(","))
    except ValueError as error:
        message = f"A topic is not known. Choose from {', '.join(wire.TOPICS)}."
        raise BadRequest(message) from error


def _last_id(header: str | None) -> int | None:
    if header is None:
        return None
    if not header.isascii() or not header.isdigit() or len(header) > 18:
        message = "Last-Event-ID must be the id of an event of this stream."
        raise BadRequest(message)
    return int(header)


HANDLERS: Final[Handlers] = {"events": stream}
