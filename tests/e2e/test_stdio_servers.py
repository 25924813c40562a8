"""Servers of other makers over pipes behind a running daemon: list, call, denied call, end.

The npm ones stand in tests/clients and are installed by `tools/packages.sh npm`.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import pytest_asyncio
from aiohttp import web
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.support.daemon import RunningDaemon
from tests.support.fronts import eventually
from tests.support.guarded import Housed, housed
from tests.support.npm import NODE, NPM_BIN, require_npm
from tests.support.upstreams import Seen, serve
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.types.listing import Empty
from wicketd.api.types.policies import PolicyCreate

BIN: Final = Path(sys.executable).parent
PAGE: Final = "Opening hours: nine to five."

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Server:
    """One server: how it is started, what it has, and what is asked of it.

    `{place}` in an argument is a directory of the test, `{page}` the URL of a page.
    """

    command: tuple[str, ...]
    tools: int
    tool: str
    arguments: dict[str, Any]
    answer: str
    denied: str = ""
    """A tool that a policy forbids; without one, the tool with other arguments."""
    env: tuple[str, str] | None = None


SERVERS: Final = {
    "git": Server(
        (str(BIN / "mcp-server-git"), "--repository", "{place}/repository"),
        tools=12, tool="git_status", arguments={"repo_path": "{place}/repository"},
        answer="On branch main", denied="git_reset",
    ),
    "time": Server(
        (str(BIN / "mcp-server-time"), "--local-timezone", "UTC"),
        tools=2, tool="get_current_time", arguments={"timezone": "UTC"},
        answer="UTC", denied="convert_time",
    ),
    "fetch": Server(
        (str(BIN / "mcp-server-fetch"), "--ignore-robots-txt", "--allow-private-ips"),
        tools=1, tool="fetch", arguments={"url": "{page}"}, answer=PAGE,
    ),
    "files": Server(
        (NODE, str(NPM_BIN / "mcp-server-filesystem"), "{place}/files"),
        tools=14, tool="read_text_file", arguments={"path": "{place}/files/note.txt"},
        answer="buy milk", denied="write_file",
    ),
    "memory": Server(
        (NODE, str(NPM_BIN / "mcp-server-memory")),
        tools=9, tool="create_entities",
        arguments={"entities": [{"name": "Ada", "entityType": "person", "observations": ["x"]}]},
        answer="Ada", denied="delete_entities", env=("MEMORY_FILE_PATH", "{place}/memory.jsonl"),
    ),
    "everything": Server(
        (NODE, str(NPM_BIN / "mcp-server-everything"), "stdio"),
        tools=13, tool="echo", arguments={"message": "hello"},
        answer="Echo: hello", denied="get-env",
    ),
}  # fmt: skip
OTHER: Final = {"url": "file:///etc/passwd"}
NPM: Final = ("files", "memory", "everything")
LONG: Final = ("time", "fetch", "memory")
"""Left to the nightly run: the others show as much."""


def filled(value: Any, place: Path, page: str) -> Any:
    """With the places of this run."""
    text = json.dumps(value).replace("{place}", str(place)).replace("{page}", page)
    return json.loads(text)


def connector(key: str, place: Path, page: str) -> str:
    server = SERVERS[key]
    command = json.dumps(filled(server.command, place, page))
    env = "" if server.env is None else f', env = {{ {server.env[0]} = "{place}/memory.jsonl" }}'
    return (
        f'key = "{key}"\nname = "{key.title()}"\ncredential = {{ kind = "none" }}\n'
        f'transport = {{ kind = "stdio", command = {command}{env} }}\n'
    )


def forbidding(key: str) -> str:
    """The policy statement that denies what a server is not asked for."""
    server = SERVERS[key]
    action = f'{key.title()}MCP::Action::"{server.denied or server.tool}"'
    when = (
        ""
        if server.denied
        else ' when { context.input has url && context.input.url like "file:*" }'
    )
    return f"forbid (principal, action == {action}, resource){when};\n"


@dataclass(frozen=True, slots=True)
class Served:
    """The daemon before all of them."""

    house: Housed
    place: Path
    page: str

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """The SDK's client with the member's key."""
        headers = {"Authorization": f"Bearer {self.house.keys[0]}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            transport = streamable_http_client(self.house.daemon.url, http_client=http)
            async with Client(transport, mode="auto") as client:
                yield client


async def page(_: Seen, __: web.Request) -> web.StreamResponse:
    body = f"<html><body><article><p>{PAGE}</p></article></body></html>"
    return web.Response(text=body, content_type="text/html")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Served]:
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        subprocess.run(["git", "init", "-q", "-b", "main", str(place / "repository")], check=True)
        (place / "files").mkdir()
        (place / "files" / "note.txt").write_text("buy milk")
        (place / "state").mkdir(mode=0o700)
        async with serve(page) as pages:
            files = {key: connector(key, place, pages.url) for key in SERVERS}
            async with housed(place / "state", files, idle=tuple(files)) as house:
                yield Served(house, place, pages.url)


@pytest.mark.parametrize(
    "key", [pytest.param(key, marks=[pytest.mark.long] * (key in LONG)) for key in SERVERS]
)
async def test_a_server_of_another_maker_lists_answers_and_is_denied_what_policy_forbids(
    served: Served, key: str
) -> None:
    if key in NPM:
        require_npm()
    server, admin = SERVERS[key], served.house.admin
    await served.house.enable(key)
    rule = PolicyCreate(agent="home", name=f"Not in {key}", text=forbidding(key))
    await admin.call(policy_endpoints.POLICY_CREATE, rule)
    async with served.client() as client:
        mine = await names(client, key)
        assert len(mine) == server.tools - bool(server.denied)
        arguments = filled(server.arguments, served.place, served.page)
        said = await client.call_tool(f"{key}__{server.tool}", arguments)
        assert not said.is_error, said
        assert server.answer in str(said.content)
        assert f"{key}__{server.denied}" not in mine
        status = await served.house.admin.call(endpoints.STATUS, Empty())
        assert status.details["stdio_servers"][f"home/{key}"] >= 1
        with pytest.raises(MCPError, match="Authorization denied"):
            await client.call_tool(f"{key}__{server.denied or server.tool}", OTHER)


def children(daemon: RunningDaemon) -> set[int]:
    """Processes whose home lies in the daemon's state, by the environment they were given."""
    mark = f"HOME={daemon.directory}/stdio/".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes():
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


async def names(client: Client, key: str) -> set[str]:
    """Tools of one service; a list does not wait for who takes longer than 5 s to start."""
    async with asyncio.timeout(60):
        while True:
            listed = (await client.list_tools()).tools
            if mine := {tool.name for tool in listed if tool.name.startswith(f"{key}__")}:
                return mine


async def test_no_server_outlives_a_killed_daemon(served: Served) -> None:
    daemon = served.house.daemon
    assert len(children(daemon)) >= 2
    daemon.kill()
    await eventually(lambda: children(daemon) == set())
