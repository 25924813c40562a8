"""The whole admin surface over one real database: use cases, app, both sockets, the real client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.admin import admin_socket
from tests.support.entering import house_of
from tests.support.rehearsing import rehearsals_over, replays_over
from tests.support.state import CountedIds, State, open_state
from wicketd.admin.handlers import HANDLERS
from wicketd.admin.usecases import UseCases
from wicketd.api.client import AdminClient
from wicketd.domain.audit import AuditRow
from wicketd.domain.health import Settings
from wicketd.services.audit import AuditLog, Notary
from wicketd.services.keyring import KeyringStatus
from wicketd.services.metrics import Metrics
from wicketd.services.offboarding import Offboarding
from wicketd.services.removal import Removal
from wicketd.services.reveals import Reveals
from wicketd.services.sessions import ToolSessions
from wicketd.services.simulate import Simulations
from wicketd.services.status import Status, StatusSources
from wicketd.services.wal import Wal

MCP_URL = "http://127.0.0.1:8650/mcp"


class RawLines:
    """Rows as they are chained."""

    head = ""

    def lines(self, row: AuditRow, outcome: AuditRow | None) -> str:
        """One line a row."""
        return row.body + "\n" + ("" if outcome is None else outcome.body + "\n")


@dataclass(frozen=True, slots=True)
class Administered:
    """A state, the sessions and audit over it, and the two sockets."""

    state: State
    uses: UseCases
    socket: Path
    read_only: Path

    def client(self) -> AdminClient:
        """A client that may write."""
        return AdminClient(self.socket)

    def reader(self) -> AdminClient:
        """A client that may only read."""
        return AdminClient(self.read_only)


@asynccontextmanager
async def administered(directory: Path) -> AsyncIterator[Administered]:
    """A fresh state behind both admin sockets."""
    async with open_state(directory) as state:
        uses = use_cases(state)
        async with (
            admin_socket(directory, HANDLERS, uses=uses) as socket,
            admin_socket(directory, HANDLERS, uses=uses, read_only=True) as read_only,
        ):
            yield Administered(state, uses, socket, read_only)


def use_cases(state: State) -> UseCases:
    """Every use case of the admin API over a state."""
    desk = state.desk
    sources = StatusSources(
        snapshots=state.snapshots,
        wal=Wal(state.db, state.clock),
        keyring=KeyringStatus(state.db, state.keyring, state.clock),
        metrics=Metrics(),
        settings=Settings(file=None, mcp_url=MCP_URL, items=()),
        faults=dict,
        servers=dict,
    )
    enter = house_of(state, mail=False).enter
    sessions = ToolSessions(
        state.db, desk.journal, state.clock, CountedIds(state.clock), lambda data: (data[:32],)
    )
    notary = Notary(lambda epoch, size, root: f"{epoch} {size} {root.hex()}\n", lambda _: None)
    log = AuditLog(desk, notary, {"jsonl": RawLines(), "csv": RawLines()})
    rehearsals = rehearsals_over(state)
    return UseCases(
        agents=state.agents,
        members=state.members,
        invites=enter.invites,
        accounts=enter.accounts,
        offboarding=Offboarding(desk, enter.links, Removal(desk, state.sets)),
        keys=state.keys,
        services=state.services,
        connections=state.connections,
        apps=state.flows.apps,
        flows=state.flows,
        policies=state.policies,
        simulations=Simulations(desk, rehearsals, log),
        replays=replays_over(state),
        sessions=sessions,
        audit=log,
        reveals=Reveals(desk, log, rehearsals),
        events=desk.events,
        status=Status(state.db, state.clock, sources),
        clock=state.clock,
    )
