"""Replays: start, follow, read, cancel."""

from typing import Final

from wicketd.admin import replay_mapping as mapping
from wicketd.admin.paging import page
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import replays as wire
from wicketd.api.types.listing import Nothing, Page


async def create(uses: UseCases, ask: Ask[wire.ReplayCreate]) -> wire.Replay:
    """A replay begins."""
    asked = await mapping.ask(uses, ask.request)
    return mapping.replay(await uses.replays.start(ask.actor, ask.request.agent, asked))


async def show(uses: UseCases, ask: Ask[wire.ReplayShow]) -> wire.Replay:
    """A replay's counts, at once or when it is over."""
    return mapping.replay(await uses.replays.wait(ask.request.replay, ask.request.wait))


async def rows(uses: UseCases, ask: Ask[wire.ReplayRows]) -> Page[wire.ReplayRow]:
    """A replay's rows worth reading."""
    found = uses.replays.rows(ask.request.replay, ask.request.only)
    return page(found, ask.request, key=lambda one: str(one.seq), view=mapping.row)


async def cancel(uses: UseCases, ask: Ask[wire.ReplayRef]) -> Nothing:
    """A replay is ended and forgotten."""
    uses.replays.cancel(ask.request.replay)
    return Nothing()


HANDLERS: Final[Handlers] = {
    "replay.create": create,
    "replay.show": show,
    "replay.rows": rows,
    "replay.cancel": cancel,
}
