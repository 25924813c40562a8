"""Real calls through a running daemon, then simulated and replayed over its admin socket.

Everything that the daemon denied or allowed, mapped targets and refused arguments included, comes
out of the policy child as it was.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.support.gate import AGENT, Gate, open_gate
from tests.support.mcp_client import McpClient
from wicketd.api import endpoints as audit_endpoints
from wicketd.api import simulation_endpoints as endpoints
from wicketd.api.client import Refused
from wicketd.api.types.audit import AuditReveal
from wicketd.api.types.replays import Replay, ReplayCreate, ReplayRef, ReplayRows, ReplayShow
from wicketd.api.types.simulations import DraftText, SessionCounters, Simulate
from wicketd.audit import public_keys
from wicketd.services import proofs

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("desk__echo", {"text": "a"}),
    ("desk__erase", {}),
    ("desk__pay", {"amount": 5, "count": 2, "note": "x", "weight": 1.23456789}),
    ("desk__pay", {"amount": 500.5}),
    ("desk__pay", {"amount": "much"}),
    ("desk__page", {"page_id": "home"}),
    ("desk__page", {"page_id": "NOT A PAGE"}),
    ("desk__secret", {"amount": 1}),
    ("desk__nothing", {}),
    ("wicket__status", {}),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("r")) as gate:
        client = await gate.client(await gate.member("ann"))
        for name, arguments in CALLS:
            await client.call(name, arguments)
        yield gate


async def over(gate: Gate, **ask: Any) -> Replay:
    """A replay of everything, once it is over."""
    asked = ReplayCreate(agent=AGENT, since="1d", **ask)
    found = await gate.admin.call(endpoints.REPLAY_CREATE, asked)
    while found.state == "running":
        waited = ReplayShow(replay=found.id, wait=8)
        found = await gate.admin.call(endpoints.REPLAY_SHOW, waited)
    assert found.state == "done", found.error
    return found


async def test_the_set_in_force_decides_its_own_calls_alike(gate: Gate) -> None:
    found = await over(gate)
    recorded = [one for one in await gate.audit() if one.decision is not None]
    decided = [one for one in recorded if "context" in one.fields]
    assert (found.rows, found.matched) == (len(recorded), len(decided))
    assert (found.changed, found.differing, found.unmatched, found.kept) == (0, 0, {}, 0)
    assert found.before.allow == sum(one.decision == "ALLOW" for one in decided)
    assert found.before.deny > 2


async def test_each_decision_verifies_under_its_own_policies(gate: Gate) -> None:
    found = await over(gate, verify=True)
    assert (found.faults, found.unmatched) == (0, {})
    assert found.matched > 5


async def test_each_decision_is_proven_by_a_file_that_needs_no_daemon(
    gate: Gate, tmp_path: Path
) -> None:
    key = (gate.daemon.directory / "audit.pub").read_text()
    publics = tuple(public_keys.parse(key).values())
    recorded = [one for one in await gate.audit() if one.decision is not None]
    assert len(recorded) == len(CALLS)
    for number, entry in enumerate(recorded):
        asked = AuditReveal(ref=entry.id, reason="incident 7")
        made = await gate.admin.call(audit_endpoints.AUDIT_PROVE, asked)
        file = tmp_path / f"{number}.json"
        file.write_text(made.text)
        report = proofs.of_file(file, publics)
        assert (report.exit_code, report.findings) == (0, ()), report.lines


async def test_a_decision_is_revealed_proven_and_verified_with_the_commands(
    gate: Gate, tmp_path: Path
) -> None:
    daemon, why = gate.daemon, ("--reason", "incident 7")
    (entry,) = [one for one in await gate.audit(tool="echo") if one.decision is not None]
    shown = daemon.wicket("audit", "reveal", entry.id, *why)
    assert shown["arguments"] == {"text": "a"}
    text = daemon.run("wicket_tui", "audit", "prove", entry.id, *why)
    file, key = tmp_path / "proof.json", daemon.directory / "audit.pub"
    file.write_text(text)
    verify = ("audit", "verify", "--proof", str(file), "--key", str(key))
    said = daemon.run("wicketd", *verify)
    assert said.startswith("The decision is proven.\nann · desk__echo · allowed by ")
    assert "argsCommit" in text
    file.write_text(text.replace('\\"text\\":\\"a\\"', '\\"text\\":\\"b\\"'))
    report = msgspec.json.decode(daemon.run("wicketd", *verify, "--json", code=1))
    assert [one["problem"] for one in report["findings"]] == ["args_differ"]


async def test_each_call_is_simulated_as_it_was_decided(gate: Gate) -> None:
    for one in await gate.audit():
        if one.decision is None or one.reason_code in {None, "denied"}:
            continue
        session = one.fields.get("context", {}).get("session", {})
        asked = Simulate(
            agent=AGENT,
            member="ann",
            tool=f"{one.service}__{one.tool}",
            entry=one.id,
            session=SessionCounters(denials=session.get("denials", 0)),
        )
        found = (await gate.admin.call(endpoints.SIMULATE, asked)).now
        assert (one.tool, found.decision, found.reason) == (one.tool, one.decision, one.reason_code)
        keys = {each.policy for each in found.determining}
        assert keys == set(one.matched_policy_ids)


async def test_a_draft_flips_what_it_forbids(gate: Gate) -> None:
    text = (
        'forbid (principal, action == DeskMCP::Action::"page", resource) '
        'when { resource == DeskMCP::Page::"home" };'
    )
    found = await over(gate, draft=DraftText(text=text))
    rows = await gate.admin.call(endpoints.REPLAY_ROWS, ReplayRows(replay=found.id))
    assert (found.allow_deny, found.deny_allow, found.lists) == (1, 0, ())
    assert [(one.tool, one.flip, one.determining_after) for one in rows.items] == [
        ("page", "allow_deny", ("draft@0#1",))
    ]


async def test_calls_go_on_while_a_replay_runs_and_it_can_be_cancelled(gate: Gate) -> None:
    client: McpClient = await gate.client(await gate.member("eve"))
    await asyncio.gather(*(client.call("desk__echo", {"text": str(n)}) for n in range(100)))
    started = await gate.admin.call(endpoints.REPLAY_CREATE, ReplayCreate(agent=AGENT, since="1d"))
    assert (await client.call("desk__echo", {"text": "meanwhile"})).result
    await gate.admin.call(endpoints.REPLAY_CANCEL, ReplayRef(replay=started.id))
    with pytest.raises(Refused) as refusal:
        await gate.admin.call(endpoints.REPLAY_SHOW, ReplayShow(replay=started.id))
    assert refusal.value.body.code == "not_found"
    assert (await over(gate)).changed == 0
