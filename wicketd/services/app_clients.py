"""Who Wicket is at the provider of a service: the stored OAuth app, opened for one request.

Counterparts: `storage.app_credentials`, which only these modules read; `app_credentials`, the use
cases of admins. A secret is plaintext only between here and the request it is written into.
"""

from dataclasses import dataclass

from wicketd.domain.ids import AgentId, ServiceId
from wicketd.domain.ports import Database, Tx
from wicketd.oauth.token import AuthMethod, ClientAuth
from wicketd.services.tokens import TokenRecord
from wicketd.storage import app_credentials
from wicketd.storage.app_credentials import StoredApp
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.places import AppPlace
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret


@dataclass(frozen=True, slots=True)
class AppClient:
    """The client of a service. `issuer`: the only one that it may be shown to."""

    issuer: str
    client_id: str
    secret: Secret | None


class AppClients:
    """Seals and opens the apps of services."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def opened(self, app: StoredApp | None, service: str) -> AppClient | None:
        """The client that is stored, if there is one.

        Raises:
            DecryptFailed: its secret was sealed elsewhere or altered.
        """
        if app is None or app.issuer is None or app.client_id is None:
            return None
        if app.secret_ct is None:
            return AppClient(app.issuer, app.client_id, None)
        if app.set_at is None:
            raise DecryptFailed
        place = AppPlace(app.service_id, app.agent_id, service)
        plain = self._sealer.open_app_secret(place, app.set_at, app.secret_ct)
        return AppClient(app.issuer, app.client_id, Secret(plain))

    def sealed(
        self, where: StoredApp, service: str, client: AppClient, set_at: int | None
    ) -> StoredApp:
        """The row of a client. `set_at`: ms; needed with a secret."""
        kid, ciphertext = None, None
        if client.secret is not None:
            place = AppPlace(where.service_id, where.agent_id, service)
            kid, ciphertext = self._sealer.app_secret(place, set_at or 0, client.secret.reveal())
        return StoredApp(
            where.service_id,
            where.agent_id,
            client.issuer,
            client.client_id,
            ciphertext,
            kid,
            set_at,
        )

    async def of_service(
        self, db: Database, agent_id: AgentId, service_id: ServiceId, service: str
    ) -> AppClient | None:
        """The client of a service, from a reader.

        Raises:
            DecryptFailed: its secret was sealed elsewhere or altered.
        """
        row = await db.one(app_credentials.of_service(agent_id, service_id))
        return self.opened(row, service)

    def for_record(
        self, tx: Tx, agent_id: AgentId, service_id: ServiceId, service: str, record: TokenRecord
    ) -> ClientAuth | None:
        """Who we were when the provider gave these tokens, if that can still be shown."""
        row = tx.one(app_credentials.of_service(agent_id, service_id))
        try:
            client = self.opened(row, service)
        except DecryptFailed:
            client = None
        if record.client_id is None or record.auth_method is None or record.issuer is None:
            return None
        return auth_of(client, record.issuer, record.client_id, AuthMethod(record.auth_method))


def auth_of(
    client: AppClient | None, issuer: str, client_id: str, method: AuthMethod
) -> ClientAuth | None:
    """A client of before: itself if it has no secret, else the stored one if it is the same."""
    if method is AuthMethod.NONE:
        return ClientAuth(client_id, None, method)
    if client is None or client.secret is None:
        return None
    if (client.issuer, client.client_id) != (issuer, client_id):
        return None
    return ClientAuth(client_id, client.secret, method)
