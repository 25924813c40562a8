"""What editing, listing and replaying policies cost; each figure beside its limit.

Editor figures come from a policy child of its own, as the daemon runs one, on catalogues that are
made here; replays run in the daemon that was measured, over the calls that it recorded. Counterpart
of `__main__`, which runs this between its own rounds. Sources: policy spec, 3.7, 7.3, 8 and 9.6.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from statistics import median
from typing import Final

from benchmarks.installation import POLICIES, Installation
from benchmarks.report import Figure
from benchmarks.upstream import definition
from tests.support.policies import World, make_tool
from wicket_tui.completion import complete
from wicketd.admin import names_mapping
from wicketd.api import simulation_endpoints as api
from wicketd.api.client import AdminClient
from wicketd.api.types.replays import Replay, ReplayCreate, ReplayShow
from wicketd.domain.catalogue import ServiceView, Tier
from wicketd.policy import listing, names
from wicketd.policy.checks import Scope
from wicketd.policy.child import PolicyChild
from wicketd.policy.entities import ActionAt
from wicketd.policy.schema import render
from wicketd.services.policy_names import Nameable

AGENT: Final = "bench"
_PERMIT: Final = 'permit (principal, action, resource in Wicket::Service::"bench");'
_BLOCK: Final = """@id("rule-%d")
forbid (
  principal in Wicket::Group::"team-%d",
  action == BenchMCP::Action::"%s",
  resource
)
when {
  context.input has folder && context.input.folder like "/secret/%d/*"
};
"""
_LINES: Final = 200


async def editing(rounds: int) -> list[Figure]:
    """Check, completion and touches; each time one statement of the text is new."""
    child = PolicyChild()
    try:
        return [
            await _check(child, rounds),
            _completion(rounds),
            await _touches(child, rounds),
        ]
    finally:
        await child.stop()


def lists(rounds: int) -> list[Figure]:
    """The list of 500 tools, for the first member after a change and once more for the same."""
    view = catalogue(500)
    where = World(render([view]))
    items = [("bench", tool.name) for tool in view.tools]
    cold, again = [], []
    for _ in range(rounds):
        snapshot = where.snapshot(_PERMIT, *POLICIES)
        for into in (cold, again):
            member = replace(where.member, local_name="first" if into is cold else "second")
            began = time.perf_counter()
            shown = listing.lists(snapshot, member, where.agent, items)
            into.append((time.perf_counter() - began) * 1e3)
            assert len(shown) == len(items)
    return [
        Figure("list of 500 tools, first member", median(cold), "ms", 150),
        Figure("list of 500 tools, next member", median(again), "ms", 150),
    ]


async def replaying(there: Installation) -> list[Figure]:
    """Everything that the daemon has recorded, decided once more under the set in force."""
    async with AdminClient(there.daemon.socket, timeout_s=60) as client:
        before_s, began = there.cpu_s(), time.perf_counter()
        found = await _replayed(client)
        took_s, cpu_s = time.perf_counter() - began, there.cpu_s() - before_s
    assert found.state == "done", found.error
    return [
        Figure("replay", found.rows / took_s, "rows/s", 5_000, is_floor=True),
        Figure("replay, CPU of the daemon", cpu_s * 1e6 / found.rows, "us a row"),
        Figure("replayed rows", found.rows, "rows"),
        Figure("rows that the set in force changes", found.changed, "rows", 0),
    ]


@asynccontextmanager
async def replays_running(there: Installation) -> AsyncIterator[None]:
    """Replays one behind the other for as long as the block lasts."""
    async with AdminClient(there.daemon.socket, timeout_s=60) as client:

        async def forever() -> None:
            while True:
                await _replayed(client)

        running = asyncio.get_running_loop().create_task(forever(), name="replays")
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def _replayed(client: AdminClient) -> Replay:
    found = await client.call(api.REPLAY_CREATE, ReplayCreate(agent=AGENT, since="1d"))
    while found.state == "running":
        found = await client.call(api.REPLAY_SHOW, ReplayShow(replay=found.id, wait=8))
    return found


def catalogue(count: int) -> ServiceView:
    """That many tools like the upstream's."""
    tools = tuple(
        make_tool(
            f"{'read' if n % 2 else 'update'}_item_{n:03d}",
            Tier.READ if n % 2 else Tier.WRITE,
            definition(n)["inputSchema"]["properties"],
        )
        for n in range(count)
    )
    return ServiceView("bench", "BenchMCP", tools, ())


def _text(view: ServiceView, number: int) -> str:
    """200 lines, of which the last statement was never seen before."""
    count = _LINES // _BLOCK.count("\n")
    numbers = [*range(count - 1), 1_000 + number]
    tools = view.tools
    return "".join(_BLOCK % (n, n, tools[n % len(tools)].name, n) for n in numbers)


async def _check(child: PolicyChild, rounds: int) -> Figure:
    view = catalogue(100)
    schema = render([view])
    scope = Scope.of(AGENT, schema, may_permit=True)

    async def check(number: int) -> None:
        found = await child.check(schema.text, _text(view, number), scope)
        assert not [one for one in found if one.severity == "error"], found

    return Figure("check, 200 lines, 100 tools", await _p50(check, rounds), "ms", 50)


async def _touches(child: PolicyChild, rounds: int) -> Figure:
    schema = render([catalogue(320)])
    places = [ActionAt.of(shape) for shape in schema.shapes.values()]

    async def touches(number: int) -> None:
        condition = f'action in Wicket::Action::"read" && principal.role == "r{number}"'
        text = f"forbid (principal, action, resource) when {{ {condition} }};"
        assert await child.touches(schema.text, text, places) is not None

    return Figure("touches, 320 tools, one new statement", await _p50(touches, rounds), "ms", 100)


def _completion(rounds: int) -> Figure:
    view = catalogue(100)
    schema = render([view])
    known = names_mapping.tree(Nameable(schema, names.tree(schema, [view]), (), (), (), ()))
    text = _text(view, 0)
    places = list(_places(text))
    took = []
    for _ in range(max(1, rounds // 4)):
        for at in places:
            began = time.perf_counter()
            complete(text, at, known)
            took.append((time.perf_counter() - began) * 1e3)
    return Figure("completion, p90 of places", sorted(took)[int(len(took) * 0.9)], "ms", 20)


def _places(text: str) -> Iterator[int]:
    """Where somebody types: behind dots, quotes, brackets and words."""
    marks = (".", '::"', "(", "has ", "&& ", "in ", "== ")
    for mark in marks:
        yield text.rindex(mark) + len(mark)


async def _p50(run: Callable[[int], Awaitable[None]], rounds: int) -> float:
    """ms; the first one starts the child and reads the schema."""
    await run(0)
    took = []
    for number in range(1, rounds + 1):
        began = time.perf_counter()
        await run(number)
        took.append((time.perf_counter() - began) * 1e3)
    return median(took)
