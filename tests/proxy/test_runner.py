"""What only the runner can get wrong: bugs behind a handshake, timers of others, seats."""

import asyncio

import pytest
from aiohttp import web
from typing_extensions import override

from tests.support.upstreams import (
    NOTHING,
    MemoryVerdicts,
    RecordingFront,
    Seen,
    SystemClock,
    Tasks,
    call,
    connector,
    serve,
)
from wicketd.domain.calls import Answer, Failure, RefusalKind
from wicketd.net.client import GuardedClient
from wicketd.proxy.client import UpstreamClient
from wicketd.proxy.eras import ServicePlace, Verdict


class BrokenVerdicts(MemoryVerdicts):
    """A store whose database is gone."""

    @override
    async def load(self, place: ServicePlace) -> Verdict | None:
        raise RuntimeError("database is gone")


async def answers(seen: Seen, _: web.Request) -> web.StreamResponse:
    result = {"supportedVersions": ["2026-07-28"]}
    return web.json_response({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})


async def test_a_bug_behind_the_handshake_strands_nobody() -> None:
    tasks = Tasks()
    client = UpstreamClient(GuardedClient(), BrokenVerdicts(), SystemClock(), tasks)
    async with serve(answers) as upstream:
        sending = client.send(call(), NOTHING, RecordingFront(), connector(upstream.url), None)
        outcome = await asyncio.wait_for(sending, 5)
        assert isinstance(outcome, Failure)
        assert upstream.seen == []
    assert [str(error) for error in tasks.errors] == ["database is gone"]
    await client.close()


async def test_seats_are_given_back_after_every_ending() -> None:
    """More failures, time-outs and cancellations than there are seats, then a good call."""
    mood = "fail"

    async def moody(seen: Seen, request: web.Request) -> web.StreamResponse:
        if seen.rpc == "tools/call" and mood == "fail":
            return web.Response(status=500)
        if seen.rpc == "tools/call" and mood == "hang":
            await asyncio.get_running_loop().create_future()
        return await answers(seen, request)

    tasks = Tasks()
    client = UpstreamClient(GuardedClient(), MemoryVerdicts(), SystemClock(), tasks)
    async with serve(moody) as upstream:
        to = connector(upstream.url)
        for _ in range(20):
            failure = await client.send(call(), NOTHING, RecordingFront(), to, None)
            assert isinstance(failure, Failure)
            assert failure.refusal.kind is RefusalKind.UNREACHABLE
        mood = "hang"
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await client.send(call(), NOTHING, RecordingFront(), to, None)
        mood = "well"
        assert isinstance(await client.send(call(), NOTHING, RecordingFront(), to, None), Answer)
    await tasks.settle()
    await client.close()
