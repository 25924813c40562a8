"""The README's quickstart, run word for word by two shells in an empty home; then a client calls.

Only what a test cannot share with the machine differs: ports, and the environment that the suite
runs in stands for `.venv`.
"""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.support.daemon import ROOT, free_port

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OURS = re.compile(r"\bwicketd? [a-z]")
INSTALL = "make venv && . .venv/bin/activate"
TAIL = "wicket audit tail"


def quickstart() -> tuple[str, str]:
    """The commands of the two terminals."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    daemon, administrator = BLOCK.findall(readme.split("## Quickstart")[1].split("\n## ")[0])
    return daemon, administrator


@dataclass(frozen=True)
class Newcomer:
    """Somebody who has read the README and types it off."""

    home: Path
    port: int
    notes_port: int

    def environment(self) -> dict[str, str]:
        """What the shells start with."""
        return {
            "HOME": str(self.home),
            "PATH": f"{self.home / 'bin'}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "WICKET_SERVER_PORT": str(self.port),
        }

    def installed(self, commands: str) -> str:
        """The commands with the installation left out and the server's port changed."""
        done = commands.replace(INSTALL, ":").replace(". .venv/bin/activate", ":")
        return "set -eu\n" + done.replace("8700", str(self.notes_port))

    @contextmanager
    def terminal(self, commands: str) -> Iterator[subprocess.Popen[str]]:
        """A shell with its own process group that is closed with everything in it."""
        shell = subprocess.Popen(
            ["bash", "-c", self.installed(commands)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self.environment(), cwd=self.home, start_new_session=True,
        )  # fmt: skip
        try:
            yield shell
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)
            shell.communicate(timeout=30)


@asynccontextmanager
async def newcomer() -> AsyncIterator[Newcomer]:
    """An empty home beside a source tree, with the commands that `make venv` installs."""
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        home = Path(place)
        (home / "contrib").symlink_to(ROOT / "contrib")
        (home / "bin").mkdir()
        for name, arguments in (
            ("python", ""),
            ("wicketd", "-m wicketd"),
            ("wicket", "-m wicket_tui"),
        ):
            command = home / "bin" / name
            command.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
            command.chmod(0o755)
        yield Newcomer(home, free_port(), free_port())


async def connectable(path: Path) -> None:
    """Waits until somebody answers on a Unix socket."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
                return
            await asyncio.sleep(0.05)


async def called(url: str, key: str) -> tuple[list[str], str]:
    """The tools a client sees, and what it hears when it writes."""
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        tools = [tool.name for tool in (await client.list_tools()).tools]
        found = await client.call_tool("notes__search_notes", {"query": "wicket"})
        assert not found.is_error
        with pytest.raises(MCPError) as refused:
            await client.call_tool("notes__create_note", {"name": "a", "text": "b"})
        return tools, str(refused.value)


async def shown(tail: subprocess.Popen[str], url: str, key: str) -> str:
    """The first line that `wicket audit tail` prints while a client calls."""
    assert tail.stdout is not None
    reading = asyncio.ensure_future(asyncio.to_thread(tail.stdout.readline))
    while not reading.done():  # it shows what is new: calls from before it listened are not
        await called(url, key)
    return reading.result()


async def test_the_quickstart_ends_with_a_client_that_is_guarded() -> None:
    daemon, administrator = quickstart()
    setting_up = administrator.split(TAIL)[0]
    async with newcomer() as person:
        with person.terminal(daemon) as first:
            await connectable(person.home / "wicket" / "run" / "admin.sock")
            ending = '\nprintf "KEY %s\\n" "$WICKET_KEY"'
            with person.terminal(setting_up + ending) as second:
                said, _ = await asyncio.to_thread(second.communicate, timeout=60)
            assert (second.returncode, first.poll()) == (0, None), said
            url = f"http://127.0.0.1:{person.port}/mcp"
            assert f"claude mcp add --transport http wicket {url} " in said
            key = said.split("KEY ")[1].strip()
            socket_of = "export WICKET_SOCKET=~/wicket/run/admin.sock\n"
            with person.terminal(socket_of + TAIL) as third:
                line = await shown(third, url, key)
                tools, refusal = await called(url, key)

    assert "notes." in line
    assert tools == ["notes__search_notes", "wicket__status"]
    assert "'create_note' is not permitted for agent 'home'" in refusal


def test_the_quickstart_is_short_and_starts_from_the_source_tree() -> None:
    daemon, administrator = quickstart()

    assert daemon.splitlines()[0].startswith(INSTALL)
    commands = [line for line in (daemon + administrator).splitlines() if OURS.search(line)]
    assert len(commands) <= 10
