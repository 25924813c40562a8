"""Revokes at the provider what Wicket gives up and can still open (RFC 7009). Best effort.

Called inside the transaction that destroys the tokens; the requests leave after its commit, so that
a removal never waits for a provider. What we cannot decrypt we cannot revoke: pages then link the
connector's `revoke_url`.
Source: security spec, 6.5.
"""

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from wicketd.connectors.catalogue import Catalogue
from wicketd.domain.connections import Connection
from wicketd.domain.errors import Upstream
from wicketd.domain.ids import AgentId, ServiceId
from wicketd.domain.ports import Spawn, Tx
from wicketd.domain.secret import SecretBytes
from wicketd.oauth import token
from wicketd.oauth.client import OAuthHttp
from wicketd.oauth.provider import Providers
from wicketd.oauth.token import ClientAuth
from wicketd.services.app_clients import AppClients
from wicketd.services.tokens import TokenBox, TokenRecord
from wicketd.services.transitions import Held
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.secret import Secret

_LOG: Final = logging.getLogger(__name__)


class Revoker:
    """Tells providers that tokens are not used any more."""

    def __init__(  # the ends that it ties together
        self,
        box: TokenBox,
        clients: AppClients,
        providers: Providers,
        http: OAuthHttp,
        catalogue: Callable[[], Catalogue],
        spawn: Spawn,
    ) -> None:
        self._box = box
        self._clients = clients
        self._providers = providers
        self._http = http
        self._catalogue = catalogue
        self._spawn = spawn

    def of_connection(self, tx: Tx, connection: Connection, service: str) -> Callable[[], None]:
        """What to run once the connection is destroyed: only pending tokens can be opened here."""
        if connection.pending_ct is None:
            return _nothing
        try:
            record = self._box.open_pending(Held(connection, service))
        except DecryptFailed:
            return _nothing
        return self.of_record(tx, connection.agent_id, connection.service_id, service, record)

    def of_record(
        self, tx: Tx, agent_id: AgentId, service_id: ServiceId, service: str, plain: SecretBytes
    ) -> Callable[[], None]:
        """What to run once these tokens are given up. `plain`: their record."""
        record = msgspec.json.decode(plain.reveal(), type=TokenRecord)
        auth = self._clients.for_record(tx, agent_id, service_id, service, record)
        if record.issuer is None or auth is None:
            return _nothing

        def later() -> None:
            self._spawn(self._revoke(service, record, auth), name="revoke tokens")

        return later

    async def _revoke(self, service: str, record: TokenRecord, auth: ClientAuth) -> None:
        connector = self._catalogue().get(service)
        if connector is None or record.issuer is None:
            return
        try:
            server = await self._providers.server_of(connector, record.issuer)
            if server.revocation_endpoint is None:
                return
            # The refresh token first: most providers end the whole grant with it.
            for value, hint in (
                (record.refresh_token, "refresh_token"),
                (record.access_token, "access_token"),
            ):
                if value is not None:
                    secret = Secret(value.encode("ascii"))
                    form = token.revocation_request(auth, token=secret, hint=hint)
                    await self._http.post_form(server.revocation_endpoint, form)
        except Upstream as error:
            _LOG.warning("tokens of %s could not be revoked: %s", service, error.message)


def _nothing() -> None:
    """There is nothing to revoke."""
