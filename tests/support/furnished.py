"""A daemon with something on every screen of the terminal app: for snapshots and pictures.

Real calls through a real upstream; only what they are called is made up.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from typing_extensions import override

from tests.support.gate import AGENT, Gate, open_gate
from wicket_tui.host import Host
from wicketd.api import endpoints
from wicketd.api.types.agents import AgentCreate, AgentStatusSet
from wicketd.api.types.invites import InviteCreate

EMPTY: Final = "newcomer"
"""An agent that has nothing yet."""
LATER: Final = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class LaterHost(Host):
    """A machine three days on: whatever was just made is `3 d ago`, in every run."""

    name: str = "prod-1"
    environ: dict[str, str] = field(default_factory=dict)
    began: datetime = field(default_factory=lambda: datetime.now(UTC) + LATER)

    @override
    def now(self, zone: str = "UTC") -> datetime:
        return self.began.astimezone(ZoneInfo(zone))


@asynccontextmanager
async def furnished(directory: Path) -> AsyncIterator[Gate]:
    """The daemon, its agent `ops` full of life."""
    async with open_gate(directory) as gate:
        admin = gate.admin
        for key, name in (("deploy-bot", "Deploy bot"), (EMPTY, "Newcomer")):
            await admin.call(endpoints.AGENT_CREATE, AgentCreate(key=key, name=name))
        off = AgentStatusSet(agent="deploy-bot", status="disabled", reason="Key leaked in a log")
        await admin.call(endpoints.AGENT_STATUS, off)
        invite = InviteCreate(agent=AGENT, email="carla@example.org", role="member")
        await admin.call(endpoints.INVITE_CREATE, invite)
        ann = await gate.client(await gate.member("ann"))
        bob = await gate.client(await gate.member("bob"))
        for client, times in ((ann, 3), (bob, 2)):
            for number in range(times):
                await client.call("desk__echo", {"text": f"Good morning, {number}"})
                await client.call("desk__pay", {"amount": 5, "count": number, "note": "coffee"})
                await client.call("desk__erase", {})
        await ann.call("desk__page", {"page_id": "home"})
        await ann.call("desk__fails", {})
        yield gate
