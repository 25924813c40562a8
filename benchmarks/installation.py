"""Sets up what is measured: the upstream and a wicketd with 20 tools, 10 policies, 32 members.

All are processes of their own; the daemon starts from a fresh state directory and is driven over
its admin socket, as `wicket` does.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from benchmarks.upstream import tool_name
from tests.support.daemon import ROOT, RunningDaemon, free_port, running_daemon
from wicketd.api import endpoints as api
from wicketd.api import policy_endpoints
from wicketd.api.client import AdminClient
from wicketd.api.types import agents, connections, members, policies, services

MEMBERS: Final = 32
SERVICE: Final = "bench"
_RATE: Final = "[rate]\nburst = 1000000000\nper_second = 1000000000.0\nin_flight = 1024\n"
_TOKEN: Final = "benchmark-token-0123456789abcdef"  # noqa: S105  # opens nothing
_ABOUT: Final = "forbid (principal, action == %s, resource) when { context.input has %s && %s };"
_TOOL: Final = f'BenchMCP::Action::"{tool_name(0)}"'
POLICIES: Final = (
    'forbid (principal, action in Wicket::Action::"destructive", resource);',
    "forbid (principal, action, resource) when { context.session.denials >= 1000000000 };",
    'forbid (principal, action, resource) when { principal.role == "nobody" };',
    "forbid (principal, action, resource) when { context.time.hour > 24 };",
    _ABOUT % (_TOOL, "count", "context.input.count > 1000"),
    _ABOUT % (_TOOL, "folder", 'context.input.folder like "/secret/*"'),
    _ABOUT % (_TOOL, "labels", 'context.input.labels.contains("secret")'),
    'forbid (principal in Wicket::Group::"suspended", action, resource);',
    "forbid (principal, action, resource) unless { context.network.ip.isIpv4() };",
)
"""With the baseline of the service they are ten."""

_CONNECTOR: Final = f"""key = "{SERVICE}"
name = "Bench"
credential = {{ kind = "static", header = "Authorization", format = "Bearer {{token}}" }}
[transport]
kind = "streamable-http"
url = "http://127.0.0.1:%d/mcp"
allow_networks = ["127.0.0.0/8"]
insecure_http = true
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """What runs. `keys`: one of each member; `sessions`: theirs."""

    upstream_port: int
    passthrough_port: int
    daemon: RunningDaemon
    keys: list[str]
    sessions: list[str]

    def cpu_s(self) -> float:
        """CPU seconds that the daemon's own process has used, user and system."""
        fields = Path(f"/proc/{self.pids[0]}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def pids(self) -> list[int]:
        """The daemon and the processes it started."""
        assert self.daemon.process is not None
        return tree(self.daemon.process.pid)


def tree(pid: int) -> list[int]:
    """A process and its children, at any depth."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree(int(child))
    return found


@asynccontextmanager
async def installed(directory: Path) -> AsyncIterator[Installation]:
    """Starts everything and ends it again."""
    port, passthrough = free_port(), free_port()
    children = [
        _started("benchmarks.upstream", port),
        _started("benchmarks.passthrough", passthrough, port),
    ]
    try:
        await _until_open(port)
        await _until_open(passthrough)
        connectors = {SERVICE: _CONNECTOR % port}
        async with running_daemon(directory, settings=_RATE, connectors=connectors) as daemon:
            async with AdminClient(daemon.socket, timeout_s=60) as client:
                keys = await _populate(client)
            sessions = [await _session(daemon, key) for key in keys]
            yield Installation(port, passthrough, daemon, keys, sessions)
    finally:
        for child in children:
            child.kill()
            child.wait()


def _started(module: str, *ports: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-m", module, *map(str, ports)]
    return subprocess.Popen(arguments, cwd=ROOT)


async def _until_open(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


async def _populate(client: AdminClient) -> list[str]:
    agent = "bench"
    await client.call(api.AGENT_CREATE, agents.AgentCreate(key=agent, name="Bench"))
    await client.call(
        api.SERVICE_PUT, services.ServicePut(agent=agent, service=SERVICE, allow="write")
    )
    await client.call(
        api.SERVICE_DISCOVER, services.Discover(agent=agent, service=SERVICE, bearer=_TOKEN)
    )
    for number, text in enumerate(POLICIES):
        policy = policies.PolicyCreate(agent=agent, name=f"Policy {number}", text=text)
        await client.call(policy_endpoints.POLICY_CREATE, policy)
    keys = []
    for number in range(MEMBERS):
        name = f"member-{number:02d}"
        await client.call(api.MEMBER_ADD, members.MemberAdd(agent=agent, name=name))
        issued = await client.call(api.KEY_ISSUE, members.MemberRef(agent=agent, member=name))
        token = connections.ConnectionSet(agent=agent, member=name, service=SERVICE, token=_TOKEN)
        await client.call(api.CONNECTION_SET, token)
        keys.append(issued.text)
    return keys


async def _session(daemon: RunningDaemon, key: str) -> str:
    """Opens a legacy session and gives its id."""
    params: dict[str, Any] = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(daemon.url, headers=headers, content=msgspec.json.encode(message))
    return answer.raise_for_status().headers["mcp-session-id"]
