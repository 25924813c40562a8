"""The commands of a first hour, against a whole daemon.

Needs `tests.support.daemon.running_daemon`: `async with running_daemon(tmp_path) as daemon`, with
`daemon.socket` (admin socket) and `daemon.client()`. Until the daemon is composed, this is not run.
"""

from pathlib import Path

import msgspec
import pytest

from tests.support.admin import run_wicket

daemon = pytest.importorskip("tests.support.daemon", reason="the daemon is not composed yet")


async def test_an_agent_a_member_a_key_and_a_policy(tmp_path: Path) -> None:
    async with daemon.running_daemon(tmp_path) as running:

        async def wicket(*words: str, stdin: str = "") -> str:
            ran = await run_wicket(running.socket, *words, stdin=stdin)
            assert ran.code == 0, ran.err
            return ran.out

        await wicket("agent", "create", "ops", "--name", "Ops")
        await wicket("member", "add", "ops", "ci", "--local", "--group", "bots")
        key = await wicket("key", "issue", "ops", "ci")
        await wicket(
            *("policy", "create", "ops", "--name", "Nothing"),
            stdin="forbid (principal, action, resource);",
        )
        await wicket("policy", "disable", "ops", "nothing", "--yes")
        versions = await wicket("policy", "versions", "ops", "nothing", "--json")
        await wicket("agent", "disable", "ops", "--reason", "drill")
        status = await wicket("status", "--json")
        kinds = await wicket("audit", "list", "agent:ops", "--json")

    assert key.startswith("wkt_")
    assert [one["version"] for one in msgspec.json.decode(versions)["result"]] == [2, 1]
    assert msgspec.json.decode(status)["result"]["state"] == "ok"
    seen = [one["kind"] for one in msgspec.json.decode(kinds)["result"]]
    assert seen[:3] == ["agent.disabled", "policy.disabled", "policy.created"]
    assert key.strip() not in versions + status + kinds
