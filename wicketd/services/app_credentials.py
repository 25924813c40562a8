"""OAuth apps that admins registered at providers: set and clear, never read.

Counterpart: `app_clients`, which opens them for requests. Invariant: no use case returns the secret
or its length, and the app belongs to the one issuer that was the service's when it was set.
Source: product spec, 9; security spec, 6.2; promise P9.
"""

from dataclasses import dataclass

from wicketd.domain.actor import Actor
from wicketd.domain.errors import Conflict, Invalid
from wicketd.domain.ids import AgentId
from wicketd.domain.json import JsonObject
from wicketd.domain.secret import SecretBytes
from wicketd.oauth import register
from wicketd.services import find, rules
from wicketd.services.app_clients import AppClient
from wicketd.services.desk import Unit
from wicketd.services.events import Topic
from wicketd.services.flow_tools import FlowTools
from wicketd.storage import app_credentials
from wicketd.storage.app_credentials import StoredApp
from wicketd.vault.secret import Secret


@dataclass(frozen=True, slots=True)
class AppSet:
    """That an app was stored: when, in ms, and under which server key."""

    set_at: int
    kid: str


class AppCredentials:
    """The use cases of app credentials."""

    def __init__(self, tools: FlowTools) -> None:
        self._tools = tools

    async def put(
        self,
        actor: Actor,
        agent: str,
        service: str,
        client_id: str,
        secret: SecretBytes,
        *,
        expected: int | None,
    ) -> AppSet:
        """Stores an app for the provider that the service has now. `expected`: its revision.

        Raises:
            NotFound: there is no such agent or service.
            Invalid: client id or secret could not stand in a request.
            Conflict: the service has no sign-in.
            RevisionRequired, RevisionMoved: somebody changed the service in the meantime.
            Upstream: the file names no issuer, and the provider could not be found.
        """
        _check(client_id, secret)
        owner = await find.read_live_agent(self._tools.desk.db, agent)
        row = await find.read_service(self._tools.desk.db, owner, service)
        rules.revision(row.rev, expected)
        client = AppClient(await self._issuer(service), client_id, Secret(secret.reveal()))

        def work(unit: Unit) -> AppSet:
            owner = find.live_agent(unit.tx, agent)
            row = find.service(unit.tx, owner, service)
            rules.revision(row.rev, expected)
            now = unit.desk.clock.now_ms()
            where = StoredApp(row.id, owner.id, None, None, None, None, None)
            app = self._tools.clients.sealed(where, service, client, now)
            unit.tx.run(app_credentials.put(app))
            facts: JsonObject = {"issuer": client.issuer, "registration": "admin"}
            unit.audit(
                "service.credentials_set",
                service,
                after=facts,
                agent_id=owner.id,
                service=service,
            )
            return AppSet(now, app.secret_kid or "")

        done = await self._tools.desk.change(actor, work)
        self._tools.desk.events.publish(Topic.SERVICES, {"service": service}, owner.id)
        return done

    async def clear(self, actor: Actor, agent: str, service: str) -> None:
        """Destroys the app of a service: nobody can sign in until there is another one.

        Raises:
            NotFound: there is no such agent or service.
            Conflict: it has none.
        """

        def work(unit: Unit) -> AgentId:
            owner = find.agent(unit.tx, agent)
            row = find.service(unit.tx, owner, service)
            app = unit.tx.one(app_credentials.of_service(owner.id, row.id))
            if app is None or app.client_id is None:
                message = f"The service {service} has no app credentials. Nothing was changed."
                raise Conflict(message)
            nothing = StoredApp(app.service_id, app.agent_id, None, None, None, None, None)
            unit.tx.run(app_credentials.put(nothing))
            unit.audit(
                "service.credentials_cleared",
                service,
                before={"issuer": app.issuer},
                agent_id=owner.id,
                service=service,
            )
            return owner.id

        owner_id = await self._tools.desk.change(actor, work)
        await self._tools.desk.wal.truncate()
        self._tools.desk.events.publish(Topic.SERVICES, {"service": service}, owner_id)

    async def _issuer(self, service: str) -> str:
        """The issuer that the connector file names, else the one that the server names now."""
        connector = self._tools.target(service).connector
        named = connector.oauth.get("issuer")
        if isinstance(named, str):
            return named
        return (await self._tools.providers.find(connector, None)).server.issuer


def _check(client_id: str, secret: SecretBytes) -> None:
    text = secret.reveal().decode("utf-8", "replace")
    if not register.is_client_id(client_id):
        message = "A client id has 1 to 2,048 printable characters. Paste it again."
        raise Invalid(message)
    if not register.is_secret(text):
        message = "A client secret has 1 to 4,096 printable characters. Paste it again."
        raise Invalid(message)
