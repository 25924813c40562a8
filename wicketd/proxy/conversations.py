"""A channel for each of a member's conversations with an upstream, as they come and go.

Counterpart of `lanes`, which holds the conversations, and of `client`, which opens a channel on
one. A legacy server tells what changed in the session that it thinks of, often the one of a call.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from wicketd.proxy.lanes import Lane, Lanes


async def listen_to_all(
    lanes: Lanes, plain: Lane, listen: Callable[[Lane], Coroutine[Any, Any, bool]]
) -> bool:
    """Listens on every lane of a member, also those that appear meanwhile, until `plain` ends.

    Gives whether it is worth opening again: what the plain one gave, or that its lane was dropped.
    """
    channels: dict[Lane, asyncio.Task[bool]] = {}
    async with asyncio.TaskGroup() as group:
        while plain in (alive := lanes.of_member(plain.place, plain.member_id)):
            for lane in alive:
                if lane not in channels:
                    channels[lane] = group.create_task(listen(lane))
            for lane in channels.keys() - set(alive):
                channels.pop(lane).cancel()
            news: set[asyncio.Future[Any]] = {lanes.change()}
            news.update(channel for channel in channels.values() if not channel.done())
            await asyncio.wait(news, return_when=asyncio.FIRST_COMPLETED)
            if channels[plain].done():
                break
        for channel in channels.values():
            channel.cancel()
    return channels[plain].cancelled() or channels[plain].result()
