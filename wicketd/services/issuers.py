"""Whether a token endpoint still belongs to its issuer, and who we are there.

Counterparts: `oauth.discovery`, which judges metadata; `refresh_flight` (R3), which asks here
before a refresh token leaves. Invariant: a token goes to the endpoint that was recorded with it, or
nowhere; metadata can only forbid, never redirect. Source: security spec, 5 (R3), 6.1 and 14.
"""

import asyncio
from typing import Final

from wicketd.domain.catalogue import Connector
from wicketd.domain.connections import Connection
from wicketd.domain.errors import Malformed, Upstream
from wicketd.domain.ports import Database
from wicketd.oauth import discovery
from wicketd.oauth.client import OAuthHttp
from wicketd.oauth.token import AuthMethod, ClientAuth
from wicketd.services.tokens import TokenRecord
from wicketd.storage import app_credentials
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.places import AppPlace
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret

LOOK_S: Final = 5.0


class Issuers:
    """Looks at issuers' metadata and opens the secrets of our apps."""

    def __init__(
        self,
        http: OAuthHttp,
        db: Database,
        sealer: Sealer,
        *,
        loopback: bool = False,
        look_s: float = LOOK_S,
    ) -> None:
        """`loopback`: the development setting; `look_s`: how long metadata may take, in seconds."""
        self._http = http
        self._loopback = loopback
        self._db = db
        self._sealer = sealer
        self._look_s = look_s

    async def own_endpoint(self, record: TokenRecord, connector: Connector) -> str | None:
        """The record's token endpoint, unless its issuer does not say so any more.

        An issuer that does not answer says nothing: the endpoint was its own at the sign-in.
        """
        endpoint, issuer = record.token_endpoint, record.issuer
        if endpoint is None or issuer is None:
            return None
        fixed = discovery.pinned(connector.oauth)
        if fixed is not None:
            is_own = (fixed.issuer, fixed.token_endpoint) == (issuer, endpoint)
            return endpoint if is_own else None
        named = connector.oauth.get("issuer")
        if named is not None and named != issuer:
            return None
        published = await self._published(issuer)
        return endpoint if published in {None, endpoint} else None

    async def client(
        self, connection: Connection, key: str, record: TokenRecord
    ) -> ClientAuth | None:
        """Who we were at the sign-in, with the secret of that client. `key`: the service's.

        None: the service has another client now, or its secret does not open.
        """
        if record.client_id is None:
            return None
        if record.auth_method == AuthMethod.NONE:
            return ClientAuth(record.client_id, None, AuthMethod.NONE)
        query = app_credentials.of_service(connection.agent_id, connection.service_id)
        app = await self._db.one(query)
        if app is None or (app.issuer, app.client_id) != (record.issuer, record.client_id):
            return None
        if app.secret_ct is None or app.set_at is None:
            return None
        place = AppPlace(connection.service_id, connection.agent_id, key)
        try:
            secret = self._sealer.open_app_secret(place, app.set_at, app.secret_ct)
            method = AuthMethod(record.auth_method or "")
        except (DecryptFailed, ValueError):
            return None
        return ClientAuth(record.client_id, Secret(secret), method)

    async def _published(self, issuer: str) -> str | None:
        """The token endpoint that the issuer's metadata names now; None if there is none to read.

        Metadata that may not be believed gives "", which is nobody's endpoint.
        """
        try:
            async with asyncio.timeout(self._look_s):
                for url in discovery.server_urls(issuer):
                    answer = await self._http.get_json(url)
                    if answer.status == 200:
                        server = discovery.read_server(answer.body, issuer, loopback=self._loopback)
                        return server.token_endpoint
        except Malformed as error:
            return None if error.cap is not None else ""
        except (Upstream, TimeoutError):
            return None
        return None
