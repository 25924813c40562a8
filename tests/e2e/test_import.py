"""A client's servers behind Wicket: imported, enabled, called and denied, without writing TOML."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.support.daemon import running_daemon
from tests.support.sdk_upstream import serve_sdk

SUPPORT = Path(__file__).parents[1] / "support"
GIT = str(Path(sys.executable).parent / "mcp-server-git")
SECRET = "canary-of-an-import"


@pytest.mark.long  # tests/test_connector_commands.py holds the import without a daemon
async def test_a_clients_three_servers_stand_behind_wicket_after_an_import(tmp_path: Path) -> None:
    home, repository = tmp_path / "home", tmp_path / "repository"
    home.mkdir(mode=0o700)
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    piped = {
        "command": sys.executable,
        "args": [str(SUPPORT / "piped_server.py"), "modern"],
        "env": {"TOKEN": SECRET},
    }
    async with serve_sdk(is_legacy=False) as url, running_daemon(home) as daemon:
        servers = {
            "git": {"command": GIT, "args": ["--repository", str(repository)]},
            "piped": piped,
            "web": {"type": "http", "url": url},
        }
        client_file = tmp_path / "claude.json"
        client_file.write_text(json.dumps({"mcpServers": servers}))
        config = ("--config", str(daemon.config))
        words = ("connector", "import", str(client_file), "--yes", *config)
        # apart from this loop, on which the server over HTTP answers
        said = await asyncio.to_thread(daemon.run, "wicketd", *words)
        assert SECRET not in said
        assert daemon.url in said
        daemon.wicket("catalogue", "reload")
        daemon.wicket("agent", "create", "demo", "--name", "Demo")
        for service in ("git", "piped", "web"):
            await asyncio.to_thread(daemon.wicket, "service", "enable", "demo", service)
        daemon.wicket("member", "add", "demo", "me", "--local")
        daemon.run(
            "wicket_tui", *("connection", "set", "demo", "me", "piped", "--token-stdin"),
            stdin=f"{SECRET}\n",
        )  # fmt: skip
        key = daemon.wicket("key", "issue", "demo", "me")["text"]
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(daemon.url, http_client=http)) as client,
        ):
            listed = {tool.name for tool in (await client.list_tools()).tools}
            assert "git__git_status" in listed
            assert "git__git_reset" not in listed
            allowed = await client.call_tool("git__git_status", {"repo_path": str(repository)})
            assert not allowed.is_error
            with pytest.raises(MCPError, match="not permitted"):
                await client.call_tool("piped__echo", {"text": "x"})
    held = [one.read_bytes() for one in home.rglob("*") if one.is_file()]
    assert SECRET.encode() not in b"".join(held)
