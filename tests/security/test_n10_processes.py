"""N10: nothing is started but the commands of the administrator's files and the daemon's own.

A daemon that writes down all it starts is given commands wherever a client, a member or an
administrator may write something: in names, arguments, `_meta`, capabilities, headers, services.
"""

import ast
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.daemon import RunningDaemon, running_daemon
from tests.support.guarded import admit
from tests.support.mcp_client import McpClient
from tests.support.watched_daemon import STARTED
from wicketd.api import endpoints
from wicketd.api.client import AdminClient, Refused
from wicketd.api.types.services import ServicePut
from wicketd.domain.calls import Era

pytestmark = [pytest.mark.requirement("N10"), pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "tests" / "support" / "piped_server.py"
COMMAND = [sys.executable, "-I", "-S", str(SERVER), "legacy"]
OWN = ("wicketd.policy.child", "stdio_launch.py")
"""What the daemon itself starts: the policy child, and the launcher of commands and guardian."""
STARTERS = {
    "wicketd/cli.py",  # `wicketd demo`, which becomes the demo's script and is no daemon
    "wicketd/policy/child.py",
    "wicketd/proxy/stdio_guardian.py",
    "wicketd/proxy/stdio_launch.py",
    "wicketd/proxy/stdio_process.py",
}
WAYS = re.compile(
    r"create_subprocess|\bsubprocess\.|\bPopen|\bpty\.|\bmultiprocessing\."
    r"|\bos\.(exec|fork|posix_spawn|spawn|system|popen)"
)
EVIL = "/bin/touch {place}/pwned"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded() -> AsyncIterator[tuple[RunningDaemon, str]]:
    with tempfile.TemporaryDirectory() as place:
        transport = f'{{ kind = "stdio", command = {json.dumps(COMMAND)} }}'
        files = {
            "pipe": 'key = "pipe"\nname = "Pipe"\ncredential = { kind = "none" }\n'
            f"transport = {transport}\n"
        }
        async with running_daemon(
            Path(place), connectors=files, module="tests.support.watched_daemon"
        ) as daemon:
            yield daemon, await admit(daemon, "pipe")


def started(daemon: RunningDaemon) -> list[list[str]]:
    """The arguments of every program that the daemon has started."""
    lines = (daemon.directory / STARTED).read_text().splitlines()
    return [json.loads(line) for line in lines]


def is_known(arguments: list[str]) -> bool:
    """Whether it is the daemon's own, or what the file says behind the launcher."""
    if "wicketd.policy.child" in arguments:
        return True
    launcher = next((one for one in arguments if one.endswith("/stdio_launch.py")), None)
    if launcher is None:
        return False
    behind = arguments[arguments.index(launcher) + 1 :]
    return behind == ["--guard"] or behind[1:] == COMMAND


def evil_calls(command: str) -> list[tuple[str, dict[str, Any]]]:
    """Requests with a command wherever a client writes."""
    meta = {"command": [command], "env": {"LD_PRELOAD": command}, "progressToken": f"$({command})"}
    tool = {"name": "pipe__echo", "arguments": {"text": f"`{command}`", "command": [command]}}
    return [
        ("tools/call", tool),
        ("tools/call", {**tool, "_meta": meta}),
        ("tools/call", {"name": f"pipe__echo; {command}", "arguments": {}}),
        ("tools/call", {"name": f"{command}__echo", "arguments": {}}),
        ("prompts/get", {"name": f"pipe__$({command})", "arguments": {"command": command}}),
        ("resources/read", {"uri": f"pipe+stdio://{command}"}),
        ("resources/subscribe", {"uri": f"pipe+file://{command}"}),
        (
            "initialize",
            {
                "protocolVersion": command,
                "capabilities": {"experimental": {"command": [command]}, "roots": {}},
                "clientInfo": {"name": f"$({command})", "version": command},
            },
        ),
    ]


async def test_nothing_is_started_but_what_the_files_say(
    guarded: tuple[RunningDaemon, str],
) -> None:
    daemon, key = guarded
    command = EVIL.format(place=daemon.directory)
    client = await McpClient(daemon.port, key, Era.LEGACY).open()
    for method, params in evil_calls(command):
        await client.ask(method, params, headers={"X-Command": command, "Mcp-Param-Run": command})
    echoed = await client.call("pipe__echo", {"text": "hello"})

    assert echoed.result["content"][0]["text"] == "hello"
    ran = started(daemon)
    assert [one for one in ran if not is_known(one)] == []
    assert [one for one in ran if one[-len(COMMAND) :] == COMMAND], ran  # the hook hears
    assert not (daemon.directory / "pwned").exists()


async def test_an_administrator_enables_files_and_writes_no_command(
    guarded: tuple[RunningDaemon, str],
) -> None:
    daemon, _ = guarded
    before = len(started(daemon))
    async with AdminClient(daemon.socket) as admin:
        for service in ("$(touch pwned)", "pipe;touch pwned", "sh", "touch"):
            with pytest.raises(Refused):
                await admin.call(
                    endpoints.SERVICE_PUT, ServicePut(agent="home", service=service, enabled=True)
                )
    assert [one for one in started(daemon)[before:] if not is_known(one)] == []
    assert not (daemon.directory / "pwned").exists()


def starts(path: Path) -> bool:
    """Whether a module calls anything that starts a program."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return any(way.search(ast.unparse(call.func)) for way in [WAYS] for call in calls)


async def test_few_modules_can_start_a_program() -> None:
    sources = (ROOT / "wicketd").rglob("*.py")
    assert {path.relative_to(ROOT).as_posix() for path in sources if starts(path)} == STARTERS
