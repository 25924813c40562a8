"""Finds or registers Wicket's client at a provider, keyed by the provider's issuer.

Counterpart: `oauth.register`, which says in which order. Invariant: a secret is shown to the issuer
that it was made for and to no other.
Source: security spec, 6.2.
"""

import asyncio
from weakref import WeakValueDictionary

from wicketd.domain.errors import Conflict
from wicketd.oauth import register
from wicketd.oauth.provider import Provider
from wicketd.oauth.register import Way
from wicketd.oauth.token import AuthMethod, ClientAuth
from wicketd.services.app_clients import AppClient
from wicketd.services.desk import Unit
from wicketd.services.events import Topic
from wicketd.services.flow_tools import FlowTools, Party, host_of
from wicketd.storage import app_credentials, services
from wicketd.vault.envelope import DecryptFailed
from wicketd.vault.secret import Secret


class FlowClients:
    """Who Wicket is in a sign-in."""

    def __init__(self, tools: FlowTools) -> None:
        self._tools = tools
        self._registering: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def check(self, party: Party, provider: Provider) -> None:
        """Says before anything is stored whether a sign-in can begin.

        Raises:
            Conflict: an admin has to enter app credentials first.
        """
        self._way(party, provider, await self._stored(party, provider))

    async def find(self, party: Party, provider: Provider) -> ClientAuth:
        """Who we are at the provider; registers us if that is the way that is open.

        Raises:
            Conflict: an admin has to enter app credentials first.
            Upstream: the registration failed.
        """
        lock = self._registering.get(party.service.id)
        if lock is None:
            lock = self._registering[party.service.id] = asyncio.Lock()
        async with lock:  # or two members who begin together would register two clients
            client = await self._stored(party, provider)
            way = self._way(party, provider, client)
            if way is Way.DYNAMIC:
                return await self._register(party, provider)
        if client is None:
            return ClientAuth(self._tools.document or "", None, AuthMethod.NONE)
        method = register.method_for(provider.server, has_secret=client.secret is not None)
        return ClientAuth(client.client_id, client.secret, method)

    async def _stored(self, party: Party, provider: Provider) -> AppClient | None:
        """The stored client for this very issuer."""
        agent_id, service = party.agent.id, party.service
        try:
            client = await self._tools.clients.of_service(
                self._tools.desk.db, agent_id, service.id, service.key
            )
        except DecryptFailed as error:
            raise _ask_admin(party, "cannot be opened") from error
        if client is None or client.issuer == provider.server.issuer:
            return client
        is_admins = client.secret is not None or self._tools.target(service.key).is_preregistered
        if not is_admins:
            return None
        await self._flag(party)
        raise _ask_admin(party, f"belong to {host_of(client.issuer)}, not to the provider of now")

    def _way(self, party: Party, provider: Provider, client: AppClient | None) -> Way:
        way = register.way(
            provider.server,
            has_client=client is not None,
            is_preregistered=self._tools.target(party.service.key).is_preregistered,
            document=self._tools.document,
        )
        if way is Way.ASK_ADMIN:
            raise _ask_admin(party, "are missing")
        return way

    async def _register(self, party: Party, provider: Provider) -> ClientAuth:
        server, key = provider.server, party.service.key
        document = register.registration(server, self._tools.redirect_uri(key), provider.scopes)
        answer = await self._tools.http.post_json(server.registration_endpoint or "", document)
        auth = register.read_answer(answer.status, answer.body, server, Secret)
        secret = None if auth.secret is None else Secret(auth.secret.reveal())
        client = AppClient(server.issuer, auth.client_id, secret)
        await self._tools.desk.change(party.author, lambda unit: self._keep(unit, party, client))
        return auth

    def _keep(self, unit: Unit, party: Party, client: AppClient) -> None:
        set_at = None if client.secret is None else unit.desk.clock.now_ms()
        key = party.service.key
        row = unit.tx.one(app_credentials.of_service(party.agent.id, party.service.id))
        if row is None:
            message = f"The service {key} was removed meanwhile. Nothing was begun."
            raise Conflict(message)
        unit.tx.run(app_credentials.put(self._tools.clients.sealed(row, key, client, set_at)))
        unit.audit(
            "service.credentials_set",
            key,
            after={"issuer": client.issuer, "registration": "dynamic"},
            agent_id=party.agent.id,
            service=key,
        )

    async def _flag(self, party: Party) -> None:
        why = "Its server names another provider than the app credentials belong to."
        said = services.set_error(party.service.id, why)
        await self._tools.desk.db.write(lambda tx: tx.run(said))
        alarm = {"alarm": "issuer_changed", "service": party.service.key}
        self._tools.desk.events.publish(Topic.STATUS, dict(alarm), party.agent.id)


def _ask_admin(party: Party, what: str) -> Conflict:
    agent, service = party.agent.key, party.service.key
    message = (
        f"The app credentials of {service} {what}. Ask an administrator to enter them, then start "
        "again."
    )
    return Conflict(message, hint=f"wicket service credentials {agent} {service} --client-id ID")
