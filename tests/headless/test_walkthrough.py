"""The commands of a first hour, as processes, against real use cases over a real socket."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.admin import Ran, run_wicket
from tests.support.administered import administered
from tests.support.state import ADMIN, tool

FORBID = "forbid (principal, action, resource);"


async def test_an_agent_a_service_a_member_a_key_and_a_policy(tmp_path: Path) -> None:
    async with administered(tmp_path) as there:
        there.state.upstreams.lists["notes"] = [tool("search_notes"), tool("delete_note")]

        async def wicket(line: str, stdin: str = "") -> str:
            ran = await run_wicket(there.socket, *line.split(), stdin=stdin)
            assert ran.code == 0, ran.err
            return ran.out

        await wicket("agent create ops --name Ops")
        report = await wicket("service enable ops notes")
        await wicket("member add ops ci --local --group bots")
        await wicket("connection set ops ci notes --token-stdin", "canary-token")
        key = await wicket("key issue ops ci")
        await wicket("policy create ops --name Nothing", FORBID)
        await wicket("policy disable ops nothing --yes")
        versions = await wicket("policy versions ops nothing --json")
        connections = await wicket("connection list ops")
        members = await wicket("member list ops")
        await wicket("agent disable ops --reason drill")
        log = await wicket("audit list agent:ops --json")
        ref = result(log)[0]["id"]
        why = await wicket(f"why {ref}")

    assert report.startswith("Enabled.\nTOOL          TIER")
    assert "search_notes  read" in report
    assert "delete_note   destructive" in report
    assert key.startswith("wkt_")
    assert [one["version"] for one in result(versions)] == [2, 1]
    assert [line.split()[:3] for line in connections.splitlines()[1:]] == [
        ["ci", "notes", "sealed"]
    ]
    assert "bots" in members
    assert [one["kind"] for one in result(log)][:3] == [
        "agent.disabled",
        "policy.disabled",
        "policy.created",
    ]
    assert "agent.disabled" in why
    shown = report + versions + connections + members + log + why
    assert key.strip() not in shown
    assert "canary-token" not in shown


async def test_who_leaves_is_offboarded_by_address_once(tmp_path: Path) -> None:
    async with administered(tmp_path) as there:
        await there.state.agent()
        await there.uses.invites.create(ADMIN, "demo", email="ann@example.org")

        async def offboard(email: str, *options: str) -> Ran:
            return await run_wicket(there.socket, "offboard", email, *options)

        unsure = await offboard("ann@example.org")
        still = await there.uses.accounts.show("ann@example.org")
        before = await there.state.recorded()
        done = await offboard("ann@example.org", "--yes", "--reason", "left in May")
        kinds = await there.state.kinds(before)
        again = await offboard("ann@example.org", "--yes")
        nobody = await offboard("nobody@example.org", "--yes")

    assert (unsure.code, still.account.status) == (1, "active")
    assert (done.code, again.code) == (0, 0), done.err + again.err
    assert "ann@example.org is blocked; 1 membership ended." in done.out + done.err
    assert "no membership was left" in again.out + again.err
    assert kinds == ["account.blocked", "account.link_voided", "member.removed", "invite.revoked"]
    assert nobody.code == 3
    assert "There is no account" in nobody.err


@pytest.mark.parametrize(
    ("line", "stdin", "code", "text"),
    [
        ("agent show nobody", "", 3, "nobody"),
        ("agent create demo --name Again", "", 5, "taken"),
        ("agent create Bad_Key --name X", "", 6, "agent key"),
        ("policy create demo --name Broken", "permit (", 6, "error[syntax]"),
        ("key revoke demo bob --reason lost --yes", "", 5, "no active key"),
        ("why 00000000", "", 3, "no entry"),
        ("agent delete demo --yes", "", 5, "Cannot delete"),
    ],
)
async def test_what_goes_wrong_says_so_and_has_its_exit_code(
    tmp_path: Path, line: str, stdin: str, code: int, text: str
) -> None:
    async with administered(tmp_path) as there:
        await there.state.connected()
        ran = await run_wicket(there.socket, *line.split(), stdin=stdin)

    assert (ran.code, ran.out) == (code, "")
    assert text in ran.err


async def test_over_the_read_only_socket_a_write_has_its_own_exit_code(tmp_path: Path) -> None:
    async with administered(tmp_path) as there:
        await there.state.connected()
        looked = await run_wicket(there.read_only, "agent", "list")
        tried = await run_wicket(there.read_only, "agent", "disable", "demo")

    assert looked.code == 0
    assert tried == Ran(4, "", tried.err)
    assert "read-only socket" in tried.err


def result(document: str) -> Any:
    return msgspec.json.decode(document)["result"]
