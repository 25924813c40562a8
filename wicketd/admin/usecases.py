"""What the handlers work with: the use cases, and one request after all checks passed."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from wicketd.domain.actor import Actor
from wicketd.domain.ports import Clock
from wicketd.services.accounts import Accounts
from wicketd.services.agents import Agents
from wicketd.services.app_credentials import AppCredentials
from wicketd.services.audit import AuditLog
from wicketd.services.connections import Connections
from wicketd.services.connectors import Services
from wicketd.services.events import Events
from wicketd.services.invites import Invites
from wicketd.services.keys import Keys
from wicketd.services.members import Members
from wicketd.services.oauth_flows import OAuthFlows
from wicketd.services.offboarding import Offboarding
from wicketd.services.policies import Policies
from wicketd.services.replay import Replays
from wicketd.services.reveals import Reveals
from wicketd.services.sessions import ToolSessions
from wicketd.services.simulate import Simulations
from wicketd.services.status import Status

Q = TypeVar("Q")


@dataclass(frozen=True, slots=True)
class UseCases:
    """Everything that the admin API can do; `app.py` fills it in."""

    agents: Agents
    members: Members
    invites: Invites
    accounts: Accounts
    offboarding: Offboarding
    keys: Keys
    services: Services
    connections: Connections
    apps: AppCredentials
    flows: OAuthFlows
    policies: Policies
    simulations: Simulations
    replays: Replays
    sessions: ToolSessions
    audit: AuditLog
    reveals: Reveals
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
