"""A daemon process whose agent `home` has a real upstream's tools, for the policy screens."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

from tests.support.daemon import RunningDaemon
from tests.support.guarded import connector_file
from tests.support.terminal import ask, daemon_process
from tests.support.upstreams import serve_asgi
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.types import agents, members, policies, services

SERVICE = "files"
NO_DESTRUCTION = (
    '@deny_message("Ask in #platform first.")\n'
    'forbid (principal, action in Wicket::Action::"destructive", resource);\n'
)


def files(tools: int) -> MCPServer[Any]:
    """A server with `tools` tools: every third reads, writes, destroys."""
    server: MCPServer[Any] = MCPServer(SERVICE, log_level="ERROR")

    async def run(path: str, depth: int = 1) -> str:
        return f"{path} {depth}"

    for number in range(tools):
        verb = ("read", "write", "delete")[number % 3]
        name = f"{verb}_file" if number < 3 else f"{verb}_kind_{number}"
        hints = ToolAnnotations(read_only_hint=verb == "read", destructive_hint=verb == "delete")
        server.add_tool(run, name=name, description=f"Does {verb}.", annotations=hints)
    return server


@contextmanager
def upstream(tools: int = 3) -> Iterator[str]:
    """The server on a loop of its own, so that tests of a module share it; gives its URL."""
    urls: list[str] = []
    is_up, is_over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serve_asgi(files(tools).streamable_http_app()) as url:
            urls.append(url)
            is_up.set()
            await asyncio.to_thread(is_over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert is_up.wait(30)
        yield urls[0]
    finally:
        is_over.set()
        thread.join(30)


@contextmanager
def desk(directory: Path, *, tools: int = 3) -> Iterator[RunningDaemon]:
    """The daemon; `home` has the service with its baseline and a member `ann`."""
    with (
        upstream(tools) as url,
        daemon_process(directory, connectors={SERVICE: connector_file(SERVICE, url)}) as daemon,
    ):
        asyncio.run(_furnish(daemon.socket))
        yield daemon


async def _furnish(socket: Path) -> None:
    await ask(socket, endpoints.AGENT_CREATE, agents.AgentCreate(key="home", name="Home"))
    put = services.ServicePut(agent="home", service=SERVICE, enabled=True)
    await ask(socket, endpoints.SERVICE_PUT, put)
    discover = services.Discover(agent="home", service=SERVICE)
    await ask(socket, endpoints.SERVICE_DISCOVER, discover)
    await ask(socket, endpoints.MEMBER_ADD, members.MemberAdd(agent="home", name="ann"))


async def written(socket: Path, key: str, text: str = NO_DESTRUCTION) -> policies.PolicyVersion:
    """A policy of `home`, made beside the app."""
    request = policies.PolicyCreate(agent="home", name=key, key=key, text=text)
    saved = await ask(socket, policy_endpoints.POLICY_CREATE, request)
    version: policies.PolicyVersion = saved.version
    return version


async def shown(socket: Path, key: str) -> policies.PolicyVersion:
    """The policy as the daemon has it now."""
    found = await ask(
        socket, policy_endpoints.POLICY_SHOW, policies.PolicyRef(agent="home", policy=key)
    )
    current: policies.PolicyVersion = found.current
    return current
