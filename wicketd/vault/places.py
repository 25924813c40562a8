"""Where tokens lie, and the associated data that binds a ciphertext to that very place.

Counterpart: `sealing`. Names of tables and columns are frozen: a renamed table keeps its old one.
Source: security spec, section 2 (table of columns).
"""

from dataclasses import dataclass

from wicketd.domain.ids import KeyId
from wicketd.vault.envelope import Aad


@dataclass(frozen=True, slots=True)
class Place:
    """What a connection's tokens are bound to.

    `issuer` and `key_id` are absent where a layer has none.
    """

    row_id: str
    agent_id: str
    member_id: str
    connector: str
    issuer: str | None
    origin: str
    placement: str
    key_id: KeyId | None = None


@dataclass(frozen=True, slots=True)
class FlowPlace:
    """Where tokens lie that nobody has confirmed yet: in a sign-in's row, until it is over.

    `target`: the place that they take once confirmed, its row the connection's.
    """

    flow_id: str
    expires_at_ms: int
    target: Place


@dataclass(frozen=True, slots=True)
class AppPlace:
    """The service whose OAuth app a secret belongs to."""

    service_id: str
    agent_id: str
    connector: str


def connection_aad(place: Place, column: str, generation: int) -> Aad:
    """Of `connections`: `column` is `sealed_ct` or `pending_ct`."""
    return Aad(
        "connections",
        column,
        place.row_id,
        place.agent_id,
        place.member_id,
        place.connector,
        place.issuer or "",
        place.origin,
        place.placement,
        generation,
    )


def flow_aad(flow: FlowPlace) -> Aad:
    """Of `oauth_flows.tokens_ct`; the issuer is bound by the inner layer or the record."""
    to = flow.target
    owner = (to.agent_id, to.member_id, to.connector)
    place = (to.origin, to.placement, flow.expires_at_ms)
    return Aad("oauth_flows", "tokens_ct", flow.flow_id, *owner, "", *place)


def verifier_aad(flow: FlowPlace) -> Aad:
    """Of `oauth_flows.verifier_ct`."""
    to = flow.target
    owner = (to.agent_id, to.member_id, to.connector)
    return Aad("oauth_flows", "verifier_ct", flow.flow_id, *owner, generation=flow.expires_at_ms)


def app_aad(service: AppPlace, set_at_ms: int) -> Aad:
    """Of `services.client_secret_ct`."""
    return Aad(
        "services",
        "client_secret_ct",
        service.service_id,
        service.agent_id,
        connector=service.connector,
        generation=set_at_ms,
    )


def totp_aad(account_id: str) -> Aad:
    """Of `accounts.totp_ct`."""
    return Aad("accounts", "totp_ct", account_id)


def state_aad(agent_id: str, member_id: str) -> Aad:
    """Of the `requestState` that a client keeps."""
    return Aad("request_state", "ct", agent_id, member_id)


def arguments_aad(call_id: str, agent_id: str, member_id: str) -> Aad:
    """Of `audit_args.ct`."""
    return Aad("audit_args", "ct", call_id, agent_id, member_id)
