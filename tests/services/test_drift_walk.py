"""P-DRIFT: what policy denied stays denied while a real server changes its tools (policy spec, 10).

Between rounds of calls the server renames, retypes, drops and re-adds arguments and whole tools and
flips hints. Nothing that the set denied is forwarded before a save or an acknowledgement, each tool
that is denied for its policies is named with them in the report, and a start in the middle finds
the same. Two short walks, whose seeds were picked so that the removals show; with --faults-full 300
rounds of each. Removed by hand and red here: the paths of a projection, its hints, its tier; red in
the tests of single rules as well: the comparison of later tools with how they came, the denial of
what broken statements touch, the shapes in `discovery._is_reported`, the tier that holds when it
falls.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.drifting import definition
from tests.support.state import ADMIN
from tests.support.wired import Wired, open_wired
from wicketd.domain.errors import Conflict, NotFound
from wicketd.domain.json import JsonObject
from wicketd.domain.policies import Reason

POLICIES = {
    "no-secret": (
        'forbid (principal, action == OpenMCP::Action::"look", resource) '
        'when { context.input has text && context.input.text like "*secret*" };'
    ),
    "no-writing": 'forbid (principal, action in Wicket::Action::"write", resource);',
    "repeatable": (
        'forbid (principal, action == OpenMCP::Action::"pay", resource) '
        "unless { resource.idempotent };"
    ),
    "plain": (
        'forbid (principal, action == OpenMCP::Action::"wipe", resource) '
        "unless { context.unmodelled.isEmpty() };"
    ),
}
NAMES = ("look", "pay", "touch", "wipe")
ARGUMENTS: tuple[dict[str, Any], ...] = (
    {},
    {"text": "a secret"},
    {"text": "fine", "file": "a secret"},
    {"text": 7},
    {"other": {"deep": "a secret"}},
)
START = {
    "look": definition("look", text="string"),
    "pay": definition("pay", {"idempotentHint": False}, text="string"),
    "touch": definition("touch", {"readOnlyHint": False, "destructiveHint": False}, text="string"),
    "wipe": definition("wipe", text="string"),
}
POLICY_DENIALS = {"forbidden", "no_permit"}

Denied = set[tuple[str, int]]


def another(draw: random.Random, name: str) -> JsonObject:
    """A definition as a careless or hostile server may send it next."""
    kinds = {
        argument: kind
        for argument in ("text", "file", "other")
        if (kind := draw.choice(("string", "string", "string", "integer", "object", None, None)))
        is not None
    }
    hints: JsonObject = {
        hint: draw.choice((True, False))
        for hint in ("readOnlyHint", "destructiveHint", "idempotentHint")
        if draw.random() < 0.6
    }
    return definition(name, hints or None, (), **kinds)


class Walk:
    """One agent under its policies, and what they denied when each tool was last reviewed."""

    def __init__(self, wired: Wired, draw: random.Random) -> None:
        self.wired, self.draw = wired, draw
        self.state = wired.calling.state
        self.denied: Denied = set()
        self.kept = self.staled = self.acked = 0

    async def forwards(self, name: str, arguments: dict[str, Any]) -> bool:
        """Whether a call reaches the server."""
        before = len(self.wired.forwarded)
        await self.wired.call(f"open__{name}", **arguments)
        return len(self.wired.forwarded) > before

    async def review(self, name: str) -> None:
        """Notes what policy denies of a tool as it is now."""
        for number, arguments in enumerate(ARGUMENTS):
            is_forwarded = await self.forwards(name, arguments)
            row = await self.wired.calling.last()
            self.denied.discard((name, number))
            if not is_forwarded and row.reason_code in POLICY_DENIALS:
                self.denied.add((name, number))

    async def list(self) -> None:
        """A member's list brings what the server says now."""
        self.state.clock.pass_s(601)
        await self.wired.ports.lists.list_tools(await self.wired.calling.caller("carl"))

    async def drift(self) -> None:
        """The server changes some tools, and a member's list brings it."""
        tools = {str(one["name"]): one for one in self.wired.server.tools}
        for name in self.draw.sample(NAMES, self.draw.choice((1, 2, 3))):
            how = self.draw.random()
            if how < 0.2:
                tools.pop(name, None)
            else:
                tools[name] = START[name] if how < 0.45 else another(self.draw, name)
        self.wired.server.tools = [*tools.values()]
        await self.list()

    async def check(self) -> None:
        """Nothing that was denied is forwarded, and the report names every policy behind that."""
        for name, number in sorted(self.denied):
            assert not await self.forwards(name, ARGUMENTS[number]), (
                name,
                ARGUMENTS[number],
                self.wired.server.tools,
            )
            self.kept += 1
        stale = await self.stale()
        report = await self.state.services.impact("demo", "open")
        named = {
            tool
            for policies in (report.stale, report.broken_at)
            for tools in policies.values()
            for tool in tools
        }
        assert {f"open__{name}" for name in stale} <= named
        self.staled += len(stale)

    async def stale(self) -> set[str]:
        """Tools whose calls are denied because of their policies."""
        snapshot = self.state.snapshots.of((await self.state.agents.get("demo")).id)
        assert snapshot is not None
        blocked = snapshot.engine.blocked.items()
        return {uid[1] for uid, why in blocked if why is Reason.POLICY_STALE and uid[1] in NAMES}

    async def accept(self) -> None:
        """An administrator reviews one tool."""
        name = self.draw.choice(NAMES)
        tools = {one.name: str(one.hash) for one in await self.state.services.tools("demo", "open")}
        try:
            await self.state.services.ack(ADMIN, "demo", "open", name, tools[name])
        except (Conflict, NotFound):
            return
        self.acked += 1
        await self.review(name)

    async def restart(self) -> None:
        """A start in the middle finds what the process before it found."""
        agent = await self.state.agents.get("demo")
        in_force = self.state.snapshots.of(agent.id)
        assert in_force is not None
        self.state.snapshots.drop(agent.id)
        await self.state.snapshots.start()
        again = self.state.snapshots.of(agent.id)
        assert again is not None
        assert again.findings == in_force.findings
        assert again.engine.blocked == in_force.engine.blocked


@pytest.mark.parametrize("seed", [3, 4])
async def test_what_policy_denied_stays_denied_until_somebody_looks(
    tmp_path: Path, seed: int, request: pytest.FixtureRequest
) -> None:
    draw = random.Random(seed)  # noqa: S311  # a walk that a seed repeats
    rounds = 300 if request.config.getoption("--faults-full") else 8
    async with open_wired(tmp_path) as wired:
        walk = Walk(wired, draw)
        wired.server.tools = [*START.values()]
        await wired.key()
        await walk.list()
        for tool in await walk.state.services.tools("demo", "open"):
            await walk.state.services.ack(ADMIN, "demo", "open", tool.name, str(tool.hash))
        for name, text in POLICIES.items():
            await walk.state.policies.create(ADMIN, "demo", name=name, text=text)
        for name in NAMES:
            await walk.review(name)
        assert walk.denied
        for _ in range(rounds):
            await walk.drift()
            await walk.check()
            if draw.random() < 0.3:
                await walk.accept()
            if draw.random() < 0.2:
                await walk.restart()
        assert walk.kept
        assert walk.staled
        assert walk.acked
