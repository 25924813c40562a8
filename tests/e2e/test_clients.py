"""Clients of other makers list and call tools through a running daemon with a bearer key.

The official SDKs in Python and TypeScript in both eras, the inspector's command line, and
mcp-remote, also as the printed snippet of Claude Desktop starts it. Each lists, calls and is
denied. The npm ones stand in tests/clients; see `tests.support.npm`.
"""

import asyncio
import os
import tempfile
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import pytest_asyncio
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.support.guarded import Guarded, guarded
from tests.support.npm import CLIENTS, NODE, NPM_BIN, require_npm

TOOLS = ["desk__count", "desk__echo", "desk__fail", "desk__wait", "wicket__status"]
PAPER = "Error executing tool fail: out of paper"
NO_SECRETS = (
    'forbid (principal, action == DeskMCP::Action::"echo", resource) when {\n'
    '  context.input has text && context.input.text == "secret" };\n'
)
DENIED = "Authorization denied: tool 'echo' is not permitted for agent 'home'"
ERAS = {"auto": "2026-07-28", "legacy": "2025-11-25", "2026-07-28": "2026-07-28"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate() -> AsyncIterator[Guarded]:
    """One daemon for all clients, as in life."""
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        async with guarded(Path(place)) as running:
            create = ("policy", "create", "home", "-", "--name", "No secrets")
            await asyncio.to_thread(running.daemon.wicket, *create, stdin=NO_SECRETS)
            yield running


@pytest.fixture(scope="module")
def npm_clients() -> None:
    """The installed npm clients."""
    require_npm()


def environment(gate: Guarded) -> dict[str, str]:
    """A home of their own, node of tests/clients first, no registry asked."""
    return {
        "HOME": str(gate.daemon.directory),
        "PATH": f"{NPM_BIN}:{os.environ['PATH']}",
        "npm_config_offline": "true",
    }


@asynccontextmanager
async def over_http(gate: Guarded, mode: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {gate.key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        transport = streamable_http_client(gate.daemon.url, http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


@asynccontextmanager
async def over_stdio(gate: Guarded, mode: str, *command: str, **env: str) -> AsyncIterator[Client]:
    server = StdioServerParameters(
        command=command[0], args=list(command[1:]), env=environment(gate) | env, cwd=CLIENTS
    )
    with (gate.daemon.directory / "stdio.log").open("a") as log:
        async with Client(stdio_client(server, errlog=log), mode=mode) as client:
            yield client


async def inspector(gate: Guarded, *arguments: str, key: str = "") -> tuple[int, Any]:
    """Exit code and answer of the inspector's command line."""
    child = await asyncio.create_subprocess_exec(
        NODE, NPM_BIN / "mcp-inspector", "--cli", gate.daemon.url, "--transport", "http",
        "--header", f"Authorization: Bearer {key or gate.key}", "--format", "json", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env=environment(gate), cwd=gate.daemon.directory,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(child.communicate(), 60)
    return child.returncode or 0, msgspec.json.decode(out)["result"] if out.strip() else None


async def lists_and_calls(client: Client, era: str) -> None:
    """What every client must be able to do."""
    assert client.protocol_version == era
    assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
    said = await client.call_tool("desk__echo", {"text": "grüße"})
    assert (said.is_error, getattr(said.content[0], "text", None)) == (False, "grüße")
    failed = await client.call_tool("desk__fail", {})
    assert (failed.is_error, getattr(failed.content[0], "text", None)) == (True, PAPER)
    with pytest.raises(MCPError, match=DENIED) as denied:
        await client.call_tool("desk__echo", {"text": "secret"})
    assert denied.value.error.code == -32600


@pytest.mark.parametrize(("mode", "era"), ERAS.items())
async def test_the_sdk_lists_and_calls_in_each_era(gate: Guarded, mode: str, era: str) -> None:
    async with over_http(gate, mode) as client:
        await lists_and_calls(client, era)


@pytest.mark.parametrize("mode", ERAS)
async def test_the_sdk_hears_each_report_of_progress(gate: Guarded, mode: str) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))
        gate.waits.heard.release()

    async with over_http(gate, mode) as client:
        done = await client.call_tool("desk__count", {"to": 3}, progress_callback=hear)

    assert heard == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]
    assert not done.is_error


@pytest.mark.parametrize("mode", ERAS)
async def test_a_call_that_the_sdk_cancels_is_cancelled_upstream_and_audited(
    gate: Guarded, mode: str
) -> None:
    gate.waits.began.clear()
    gate.waits.cancelled.clear()
    async with over_http(gate, mode) as client:
        call = asyncio.ensure_future(client.call_tool("desk__wait", {}))
        await asyncio.wait_for(gate.waits.began.wait(), 10)
        call.cancel()
        await asyncio.wait_for(gate.waits.cancelled.wait(), 10)
        await asyncio.wait([call])
        assert call.cancelled()
        assert (await client.call_tool("desk__echo", {"text": "on"})).is_error is False

    rows = gate.daemon.wicket("audit", "list", "--limit", "50")
    outcomes = [row["outcome"] for row in rows if row.get("tool") == "wait"]
    assert outcomes[0] == "cancelled"


@pytest.mark.usefixtures("npm_clients")
@pytest.mark.parametrize("era", ["legacy", "auto", "modern"])
async def test_the_inspector_lists_and_calls_in_each_era(gate: Guarded, era: str) -> None:
    code, listed = await inspector(gate, "--protocol-era", era, "--method", "tools/list")
    assert code == 0
    assert [tool["name"] for tool in listed["tools"]] == TOOLS

    call = ("--protocol-era", era, "--method", "tools/call", "--tool-name")
    code, said = await inspector(gate, *call, "desk__echo", "--tool-arg", "text=hello")
    assert (code, said["content"][0]["text"]) == (0, "hello")
    code, failed = await inspector(gate, *call, "desk__fail")
    assert (code, failed["content"][0]["text"]) == (5, PAPER)


@pytest.mark.usefixtures("npm_clients")
async def test_the_inspector_tells_a_denied_call_by_its_exit_code(gate: Guarded) -> None:
    call = ("--method", "tools/call", "--tool-name", "desk__echo", "--tool-arg", "text=secret")

    code, _ = await inspector(gate, *call)

    assert code == 1  # 0 is a result, 3 a wrong key, 5 a tool's own failure


@pytest.mark.usefixtures("npm_clients")
@pytest.mark.parametrize(("mode", "era"), ERAS.items())
async def test_the_typescript_client_lists_calls_and_is_denied_in_each_era(
    gate: Guarded, mode: str, era: str
) -> None:
    child = await asyncio.create_subprocess_exec(
        *(NODE, CLIENTS / "sdk_client.mjs", gate.daemon.url, gate.key, mode),
        stdout=asyncio.subprocess.PIPE,
        env=environment(gate),
    )
    out, _ = await asyncio.wait_for(child.communicate(), 60)
    met = msgspec.json.decode(out)
    assert (met["version"], met["tools"]) == (era, TOOLS)
    assert (met["said"], met["failed"]) == ("grüße", [True, PAPER])
    assert met["denied"]["code"] == -32600
    assert DENIED in met["denied"]["message"]


@pytest.mark.usefixtures("npm_clients")
async def test_the_inspector_tells_a_wrong_key_by_its_exit_code(gate: Guarded) -> None:
    wrong = gate.key[:-1] + ("1" if gate.key[-1] != "1" else "2")

    code, _ = await inspector(gate, "--method", "tools/list", "--stored-auth-only", key=wrong)

    assert code == 3


@pytest.mark.usefixtures("npm_clients")
@pytest.mark.parametrize(("mode", "era"), ERAS.items())
async def test_mcp_remote_carries_both_eras_over_stdio(gate: Guarded, mode: str, era: str) -> None:
    remote = (NODE, str(NPM_BIN / "mcp-remote"), gate.daemon.url)
    header = ("--header", f"Authorization:Bearer {gate.key}", "--allow-http")
    async with over_stdio(gate, mode, *remote, *header) as client:
        await lists_and_calls(client, era)


@pytest.mark.usefixtures("npm_clients")
async def test_the_printed_snippet_of_claude_desktop_works_with_the_key_filled_in(
    gate: Guarded,
) -> None:
    printed = gate.daemon.run("wicket_tui", "key", "snippet", "claude-desktop")
    entry = msgspec.json.decode(printed)["mcpServers"]["wicket"]
    env = {name: text.replace("YOUR_MEMBER_KEY", gate.key) for name, text in entry["env"].items()}

    async with over_stdio(gate, "auto", entry["command"], *entry["args"], **env) as client:
        await lists_and_calls(client, "2026-07-28")


async def test_each_printed_snippet_parses_and_leads_to_the_daemon(gate: Guarded) -> None:
    texts = gate.daemon.wicket("key", "snippet")
    for name in ("claude-code-json", "vscode", "cursor", "claude-desktop"):
        assert gate.daemon.url in str(msgspec.json.decode(texts.pop(name)))
    read = tomllib.loads(texts.pop("codex-toml"))
    assert read["mcp_servers"]["wicket"]["url"] == gate.daemon.url
    assert sorted(texts) == ["claude-code", "codex"]  # shell commands: tests/headless/test_snippets
    assert all(gate.daemon.url in text for text in texts.values())
