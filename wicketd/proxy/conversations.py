"""A channel for each of a member's conversations with an upstream, as they come and go.

Counterpart of `lanes`, which holds the conversations, and of `client`, which opens a channel on
one. A legacy server tells what changed in the session that it thinks of, often the one of a call.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from wicketd.domain.ids import MemberId
from wicketd.proxy.eras import ServicePlace
from wicketd.proxy.lanes import Lane, Lanes


async def listen_to_all(
    lanes: Lanes,
    place: ServicePlace,
    member_id: MemberId | None,
    listen: Callable[[Lane], Coroutine[Any, Any, bool]],
) -> bool:
    """Listens on every lane, also those that appear meanwhile, until the plain one ends.

    Gives what the plain one gave: whether it is worth opening again.
    """
    plain = lanes.of(place, member_id, {})
    channels: dict[Lane, asyncio.Task[bool]] = {}
    async with asyncio.TaskGroup() as group:
        while plain not in channels or not channels[plain].done():
            alive = lanes.of_member(place, member_id)
            for lane in alive:
                if lane not in channels:
                    channels[lane] = group.create_task(listen(lane))
            for lane in channels.keys() - set(alive):
                channels.pop(lane).cancel()
            news: set[asyncio.Future[Any]] = {lanes.growth()}
            news.update(channel for channel in channels.values() if not channel.done())
            await asyncio.wait(news, return_when=asyncio.FIRST_COMPLETED)
        for channel in channels.values():
            channel.cancel()
    return channels[plain].result()
