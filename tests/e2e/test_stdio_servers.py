"""Servers of other makers over pipes, behind a running daemon: listed, called, gone with it."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.support.daemon import RunningDaemon, running_daemon
from tests.support.fronts import eventually
from tests.support.guarded import admit

BIN = Path(sys.executable).parent
TOOL = ("git__git_status", "time__get_current_time")

pytestmark = pytest.mark.asyncio(loop_scope="module")


def connector_file(key: str, *arguments: str) -> str:
    command = json.dumps([str(BIN / f"mcp-server-{key}"), *arguments])
    return (
        f'key = "{key}"\nname = "{key.title()}"\ncredential = {{ kind = "none" }}\n'
        f'transport = {{ kind = "stdio", command = {command} }}\n'
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[tuple[RunningDaemon, str, Path]]:
    with tempfile.TemporaryDirectory() as place:
        repository = Path(place) / "repository"
        subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
        files = {
            "git": connector_file("git", "--repository", str(repository)),
            "time": connector_file("time", "--local-timezone", "UTC"),
        }
        (Path(place) / "state").mkdir(mode=0o700)
        async with running_daemon(Path(place) / "state", connectors=files) as daemon:
            key = await admit(daemon, "git")
            await asyncio.to_thread(
                daemon.wicket, "service", "enable", "home", "time", "--allow", "all"
            )
            await asyncio.to_thread(daemon.wicket, "service", "discover", "home", "time")
            yield daemon, key, repository


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


async def test_servers_over_pipes_are_used_and_none_outlives_a_killed_daemon(
    served: tuple[RunningDaemon, str, Path],
) -> None:
    daemon, key, repository = served
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(daemon.url, http_client=http), mode="auto") as client,
    ):
        said = await client.call_tool("git__git_status", {"repo_path": str(repository)})
        assert not said.is_error
        assert "On branch main" in str(said.content)
        said = await client.call_tool("time__get_current_time", {"timezone": "UTC"})
        assert not said.is_error
        assert set(TOOL) <= {tool.name for tool in (await client.list_tools()).tools}
    assert len(children(daemon)) >= 2
    daemon.kill()
    await eventually(lambda: children(daemon) == set())
