"""The event stream: filtered, resumable, honest about what was missed."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.support.administered import Administered, administered
from tests.support.state import ADMIN
from wicketd.api.client import AdminClient, Refused
from wicketd.api.events import Event
from wicketd.api.types.status import EventsAsk
from wicketd.domain.agents import AgentStatus


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Administered]:
    async with administered(tmp_path) as running:
        yield running


async def first(
    client: AdminClient, count: int, ask: EventsAsk, last_id: str | None = None
) -> list[Event]:
    """The first `count` events of a stream."""
    seen: list[Event] = []
    async with aclosing(client.events(ask, last_id=last_id)) as events:  # type: ignore[type-var]  # it is a generator
        async for event in events:
            seen.append(event)
            if len(seen) == count:
                break
    return seen


async def test_a_change_is_told_with_what_changed_and_when(there: Administered) -> None:
    agent = await there.state.agent()
    async with there.reader() as client:
        (event,) = await first(client, 1, EventsAsk(topics="agents"), "0")

    assert (int(event.id) > 0, event.topic) == (True, "agents")
    assert event.data["agent"] == "demo"
    assert event.data["agent_id"] == agent.id
    assert event.data["at"].endswith("Z")


async def test_only_the_agent_that_was_asked_for_is_told_of(there: Administered) -> None:
    await there.state.agent("one")
    await there.state.agent("two")
    async with there.client() as client:
        (event,) = await first(client, 1, EventsAsk(topics="agents", agent="two"), "0")

    assert event.data["agent"] == "two"


async def test_only_the_topics_that_were_asked_for_are_told_of(there: Administered) -> None:
    await there.state.connected()
    async with there.client() as client:
        (event,) = await first(client, 1, EventsAsk(topics="members,sessions"), "0")

    assert event.topic == "members"


async def test_a_listener_goes_on_behind_its_last_event(there: Administered) -> None:
    await there.state.agent()
    await there.state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED)
    async with there.client() as client:
        one, two = await first(client, 2, EventsAsk(topics="agents"), "0")
        (again,) = await first(client, 1, EventsAsk(topics="agents"), one.id)

    assert again == two


async def test_a_listener_of_another_life_is_told_to_read_anew(there: Administered) -> None:
    await there.state.agent()
    async with there.client() as client:
        (event,) = await first(client, 1, EventsAsk(), "999999")

    assert (event.topic, event.data) == ("resync", {})


@pytest.mark.parametrize(
    ("topics", "last_id"), [("colours", None), ("", None), (None, "x"), (None, "-1")]
)
async def test_a_stream_that_makes_no_sense_is_refused(
    there: Administered, topics: str | None, last_id: str | None
) -> None:
    async with there.client() as client:
        with pytest.raises(Refused) as caught:
            await first(client, 1, EventsAsk(topics=topics), last_id)

    assert caught.value.body.code == "bad_request"
