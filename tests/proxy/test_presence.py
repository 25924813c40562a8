"""`proxy.presence`: who is inside, and who is sent out."""

import asyncio

import pytest

from tests.support.fronts import make_caller
from wicketd.domain.calls import Refusal, RefusalKind
from wicketd.domain.ids import AgentId, KeyId, MemberId
from wicketd.proxy.presence import MAX_STREAMS, Presence, Presences

ANA, BOB = make_caller("ana"), make_caller("bob")


def nothing() -> None:
    """A stop that nobody notes."""


@pytest.mark.requirement("C6")
def test_a_member_has_sixteen_streams_and_a_place_is_free_again_when_one_leaves() -> None:
    presences = Presences()
    inside = [presences.enter_stream(ANA, nothing) for _ in range(MAX_STREAMS)]
    refused = presences.enter_stream(ANA, nothing)
    assert isinstance(refused, Refusal)
    assert refused.kind is RefusalKind.CONCURRENCY
    assert refused.retry_after_s
    assert isinstance(presences.enter_stream(BOB, nothing), Presence)
    first = inside[0]
    assert isinstance(first, Presence)
    presences.leave(first)
    presences.leave(first)
    assert isinstance(presences.enter_stream(ANA, nothing), Presence)
    assert presences.streams == MAX_STREAMS + 1


def test_what_matches_is_stopped_and_nothing_else() -> None:
    presences = Presences()
    stopped: list[str] = []
    presences.enter(ANA, lambda: stopped.append("ana"))
    presences.enter(BOB, lambda: stopped.append("bob"))
    presences.enter(make_caller("eve", agent="other"), lambda: stopped.append("eve"))
    presences.enter_stream(ANA, lambda: stopped.append("stream"))
    presences.end_member(MemberId("member-bob"))
    presences.end_key(KeyId("key-ana"))
    assert stopped == ["bob", "ana", "stream"]
    stopped.clear()
    presences.end_agent(AgentId("agent-helper"))
    assert set(stopped) == {"ana", "bob", "stream"}
    stopped.clear()
    presences.end_streams()
    assert stopped == ["stream"]


async def test_emptiness_is_waited_for() -> None:
    presences = Presences()
    await presences.wait_empty()
    inside = [presences.enter(ANA, nothing), presences.enter(BOB, nothing)]
    waiting = asyncio.get_running_loop().create_task(presences.wait_empty())
    for presence in inside:
        await asyncio.sleep(0)
        assert not waiting.done()
        presences.leave(presence)
    await waiting
    assert presences.requests == 0
