"""OAuth apps of services: four columns of table `services` that only these queries read or write.

Counterpart: `storage.services`, which cannot give a secret's ciphertext.
"""

from dataclasses import dataclass
from typing import Final

from wicketd.domain.ids import AgentId, ServiceId
from wicketd.domain.ports import Query, Statement


@dataclass(frozen=True, slots=True)
class StoredApp:
    """The client of a service at one issuer. `set_at`: ms; None: registered without a secret."""

    service_id: ServiceId
    agent_id: AgentId
    issuer: str | None
    client_id: str | None
    secret_ct: bytes | None
    secret_kid: str | None
    set_at: int | None


_SELECT: Final = (
    "SELECT id, agent_id, issuer, client_id, client_secret_ct, secret_kid, secret_set_at "
    "FROM services"
)


def of_service(agent_id: AgentId, service_id: ServiceId) -> Query[StoredApp]:
    """The app of one service; its fields are None where there is none."""
    return Query(
        f"{_SELECT} WHERE id = ? AND agent_id = ? AND state <> 'removed'",
        (service_id, agent_id),
        lambda row: StoredApp(ServiceId(row[0]), AgentId(row[1]), *row[2:]),
    )


def destroy(agent_id: AgentId, service_id: ServiceId) -> Statement:
    """Destroys the app of a service that is removed; no change of its revision."""
    return Statement(
        "UPDATE services SET issuer = NULL, client_id = NULL, client_secret_ct = NULL, "
        "secret_kid = NULL, secret_set_at = NULL WHERE id = ? AND agent_id = ?",
        (service_id, agent_id),
    )


def put(app: StoredApp) -> Statement:
    """Writes a service's app, or its absence; counts as a change of the service."""
    return Statement(
        "UPDATE services SET issuer = ?, client_id = ?, client_secret_ct = ?, secret_kid = ?, "
        "secret_set_at = ?, rev = rev + 1 WHERE id = ? AND agent_id = ? AND state <> 'removed'",
        (
            app.issuer,
            app.client_id,
            app.secret_ct,
            app.secret_kid,
            app.set_at,
            app.service_id,
            app.agent_id,
        ),
    )
