"""The daemon about itself: healthy, degraded, counted."""

from dataclasses import replace

from tests.support.state import ADMIN, START_MS, State
from wicketd.domain.agents import AgentStatus
from wicketd.domain.health import Settings
from wicketd.domain.ports import Statement
from wicketd.services.keyring import KeyringStatus
from wicketd.services.metrics import Metrics
from wicketd.services.status import COUNTS, Status, StatusSources
from wicketd.services.wal import Wal

SETTINGS = Settings(file=None, mcp_url="http://127.0.0.1:8650/mcp", items=())


def sources_of(state: State, metrics: Metrics | None = None) -> StatusSources:
    """What the status is made from; every service is well and none runs over pipes."""
    return StatusSources(
        snapshots=state.snapshots,
        wal=Wal(state.db, state.clock),
        keyring=KeyringStatus(state.db, state.keyring, state.clock),
        metrics=metrics or Metrics(),
        settings=SETTINGS,
        faults=dict,
        servers=dict,
    )


def status_of(state: State, metrics: Metrics | None = None) -> Status:
    """The status over a state."""
    return Status(state.db, state.clock, sources_of(state, metrics))


async def test_a_fresh_daemon_is_well_and_has_an_empty_log(state: State) -> None:
    status = status_of(state)
    health = await status.health()
    assert (health.reasons, health.started_at) == ((), START_MS)
    assert (health.audit_seq, health.audit_hash, health.checkpoint) == (0, None, None)
    assert not status.is_degraded
    assert dict(health.counts) == dict.fromkeys(COUNTS, 0)
    assert status.settings() is SETTINGS


async def test_counts_and_audit_head_are_those_of_the_database(state: State) -> None:
    await state.connected()
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"token")
    await state.keys.issue(ADMIN, "demo", "bob")
    await state.agent("off")
    await state.agents.set_status(ADMIN, "off", AgentStatus.DISABLED)
    gone = await state.agent("gone")
    disabled = await state.agents.set_status(ADMIN, "gone", AgentStatus.DISABLED)
    await state.agents.delete(ADMIN, gone.key, gone.key, disabled.rev)
    health = await status_of(state).health()
    assert dict(health.counts) == {
        "agents": 2,
        "agents_disabled": 1,
        "members": 1,
        "members_pending": 0,
        "keys": 1,
        "services": 1,
        "services_flagged": 0,
        "connections": 1,
        "connections_broken": 0,
    }
    rows = await state.rows()
    assert (health.audit_seq, health.audit_hash) == (len(rows), rows[-1].hash)


async def test_an_agent_whose_set_does_not_load_is_named_and_degrades_nobody_else(
    state: State,
) -> None:
    agent = await state.agent()
    await state.db.write(
        lambda tx: tx.run(Statement("UPDATE policy_revisions SET mac = zeroblob(32)", ()))
    )
    await state.snapshots.rebuild(agent.id)
    health = await status_of(state).health()
    assert health.reasons == ()
    broken = health.details["agents_without_policies"]
    assert isinstance(broken, dict)
    assert list(broken) == ["demo"]


async def test_services_are_named_by_agent_with_their_fault_and_their_processes(
    state: State,
) -> None:
    agent = await state.agent()
    sources = sources_of(state)
    at = (agent.id, "notes")
    told = replace(sources, faults=lambda: {at: "timeout"}, servers=lambda: {at: 2})
    details = (await Status(state.db, state.clock, told).health()).details
    assert details["unavailable"] == {"demo/notes": "timeout"}
    assert details["stdio_servers"] == {"demo/notes": 2}


async def test_metrics_stand_in_the_details(state: State) -> None:
    metrics = Metrics()
    metrics.count("outcomes", "ok")
    health = await status_of(state, metrics).health()
    assert health.details["metrics"] == [{"name": "outcomes", "labels": ["ok"], "value": 1}]


async def test_the_keyring_is_shown_as_counts(state: State) -> None:
    await state.agent()
    (use,) = await status_of(state).keyring()
    assert (use.kid, dict(use.rows)) == ("k1", {"policy_revisions": 1})
