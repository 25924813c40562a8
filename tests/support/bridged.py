"""A daemon in front of the fixture in each era, open and shy, and SDK clients that answer it."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import (
    CreateMessageResult,
    ElicitResult,
    ListRootsResult,
    Root,
    TextContent,
)
from pydantic import FileUrl

from tests.conformance.fixture import app
from tests.support.daemon import RunningDaemon, running_daemon
from tests.support.guarded import add_member, connector_file
from tests.support.upstreams import serve_asgi
from wicketd.api import endpoints
from wicketd.api.client import AdminClient
from wicketd.api.types.agents import AgentCreate
from wicketd.api.types.services import Discover, ServicePut

OPEN: Final = (
    'relay = ["elicitation.form", "elicitation.url", "logging", "progress", "roots", "sampling"]\n'
)
SHY: Final = "relay = []\n"
SERVICES: Final = {
    "old": ("legacy", OPEN),
    "new": ("modern", OPEN),
    "oldshy": ("legacy", SHY),
    "newshy": ("modern", SHY),
}
"""Key to era and relay; `app` of the fixture holds it to the era."""


@dataclass(frozen=True)
class Bridged:
    """A daemon whose agent `home` has the four services and the local member `me`."""

    daemon: RunningDaemon
    key: str
    urls: dict[str, str]


@asynccontextmanager
async def bridged(directory: Path, *services: str) -> AsyncIterator[Bridged]:
    """Serves the named services, or all, and admits the member; every tool is permitted."""
    async with AsyncExitStack() as stack:
        urls = {
            key: await stack.enter_async_context(serve_asgi(app(SERVICES[key][0])))
            for key in services or SERVICES
        }
        files = {key: SERVICES[key][1] + connector_file(key, url) for key, url in urls.items()}
        daemon = await stack.enter_async_context(running_daemon(directory, connectors=files))
        async with AdminClient(daemon.socket) as admin:
            await admin.call(endpoints.AGENT_CREATE, AgentCreate(key="home", name="Home"))
            for key in urls:
                enabled = ServicePut(agent="home", service=key, enabled=True, allow="all")
                await admin.call(endpoints.SERVICE_PUT, enabled)
                found = Discover(agent="home", service=key)
                await admin.call(endpoints.SERVICE_DISCOVER, found)
            member_key = await add_member(admin, "me")
        yield Bridged(daemon, member_key, urls)


@dataclass
class Person:
    """Who sits at a client: what they answer, and what they were asked."""

    name: str = "Ada"
    action: str = "accept"
    asked: list[str] = field(default_factory=list)
    logged: list[tuple[str, str | None]] = field(default_factory=list)
    heard: list[Any] = field(default_factory=list)
    is_silent: bool = False

    async def elicited(self, _: Any, params: Any) -> ElicitResult:
        """Fills every field with the name."""
        self.asked.append("elicitation")
        if self.is_silent:
            await asyncio.Event().wait()
        fields = params.requested_schema["properties"] if self.action == "accept" else {}
        content = dict.fromkeys(fields, self.name) if self.action == "accept" else None
        return ElicitResult(action=self.action, content=content)  # type: ignore[arg-type]  # a literal

    async def sampled(self, _: Any, __: Any) -> CreateMessageResult:
        """The model says the name."""
        self.asked.append("sampling")
        said = TextContent(type="text", text=f"I am {self.name}")
        return CreateMessageResult(role="assistant", content=said, model="test")

    async def rooted(self, _: Any) -> ListRootsResult:
        """One directory."""
        self.asked.append("roots")
        return ListRootsResult(roots=[Root(uri=FileUrl(f"file:///home/{self.name}"))])

    async def log(self, params: Any) -> None:
        """Notes level and logger."""
        self.logged.append((params.level, params.logger))

    async def hear(self, message: Any) -> None:
        """Notes every notification."""
        self.heard.append(message)


@asynccontextmanager
async def sdk_client(gate: Bridged, mode: str, person: Person | None) -> AsyncIterator[Client]:
    """The SDK's client of a person; without one it declares nothing."""
    headers = {"Authorization": f"Bearer {gate.key}"}
    answers: dict[str, Any] = {}
    if person is not None:
        answers = {
            "elicitation_callback": person.elicited,
            "sampling_callback": person.sampled,
            "list_roots_callback": person.rooted,
            "logging_callback": person.log,
            "message_handler": person.hear,
        }
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        transport = streamable_http_client(gate.daemon.url, http_client=http)
        async with Client(transport, mode=mode, **answers) as client:
            yield client


async def subscribe(client: Client, uri: str) -> None:
    """The legacy way, of which the SDK warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        asking = client.session.subscribe_resource(uri)
    await asking


async def unsubscribe(client: Client, uri: str) -> None:
    """Takes it back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        asking = client.session.unsubscribe_resource(uri)
    await asking


def text_of(result: Any) -> str:
    """The text of a tool's result."""
    return str(result.content[0].text)
