"""What the handlers work with: the use cases, and one request after all checks passed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from wicketd.domain.actor import Actor
from wicketd.domain.audit import AuditRow, Checkpoint
from wicketd.domain.health import Health, KeyUse, Settings
from wicketd.domain.ports import Clock
from wicketd.services.agents import Agents
from wicketd.services.connections import Connections
from wicketd.services.connectors import Services
from wicketd.services.events import Events
from wicketd.services.keys import Keys
from wicketd.services.members import Members
from wicketd.services.policies import Policies
from wicketd.services.sessions import ToolSessions
from wicketd.storage.audit import AuditFilters
from wicketd.storage.audit_counts import HourCount

Q = TypeVar("Q")


class AuditLog(Protocol):
    """The use cases of the audit, as `services.audit` offers them."""

    async def page(
        self, filters: AuditFilters, *, before: int | None, after: int | None, limit: int
    ) -> Sequence[tuple[AuditRow, AuditRow | None]]:
        """Rows with the outcome that closed them, newest first; with `after`, oldest first."""

    async def get(self, ref: str, agent_id: str | None) -> Sequence[AuditRow]:
        """The rows of one entry, by row id or call reference: intent or denial first.

        Raises:
            NotFound: there is none.
            Conflict: several agents have calls of this reference, and `agent_id` is None.
        """

    async def export(self, actor: Actor, filters: AuditFilters, form: str) -> AsyncIterator[str]:
        """Lines with their ends, as "jsonl" or "csv"; the export is on record before the first."""

    async def facets(self, agent_id: str | None, kind: str, limit: int) -> Sequence[str]:
        """Values of one kind seen in the log, the most recent first."""

    async def hours(self, agent_id: str | None, from_ms: int, to_ms: int) -> Sequence[HourCount]:
        """Counts of the hours that begin in the range."""

    async def denying(
        self, agent_id: str | None, from_ms: int, to_ms: int
    ) -> Sequence[tuple[str, int]]:
        """Denials in the range by policy key, the most first."""

    async def checkpoint(self, actor: Actor) -> Checkpoint:
        """Signs the log as it stands now."""

    async def checkpoints(self) -> Sequence[Checkpoint]:
        """Every checkpoint, newest first."""


class Status(Protocol):
    """The daemon about itself, as `services.status` offers it."""

    async def health(self) -> Health:
        """How the daemon is, and the head of its audit."""

    def settings(self) -> Settings:
        """The configuration in force, without secrets."""

    async def keyring(self) -> Sequence[KeyUse]:
        """The keys of the keyring, the active one first."""


@dataclass(frozen=True, slots=True)
class UseCases:
    """Everything that the admin API can do; `app.py` fills it in."""

    agents: Agents
    members: Members
    keys: Keys
    services: Services
    connections: Connections
    policies: Policies
    sessions: ToolSessions
    audit: AuditLog
    events: Events
    status: Status
    clock: Clock


@dataclass(frozen=True, slots=True)
class Ask(Generic[Q]):
    """One admitted request. `expected`: the revision of `If-Match`, where it is needed."""

    actor: Actor
    request: Q
    expected: int | None = None
    last_event_id: str | None = None


Handler: TypeAlias = "Callable[[UseCases, Ask[Any]], Awaitable[Any]]"
"""Gives the answer's struct, or for a stream an async iterator of its bytes."""

Handlers: TypeAlias = "Mapping[str, Handler]"
"""By the name of the endpoint's row."""
