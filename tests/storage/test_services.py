"""Services, tools and changes come back as they were stored; removed services make room."""

from dataclasses import replace

import pytest

from tests.storage.rows import AGENT, AT, SERVICE, run, service, tool
from wicketd.domain.catalogue import ServiceState, Tier, TierSource, ToolStatus, UpstreamEra
from wicketd.domain.errors import Conflict
from wicketd.domain.ids import Revision
from wicketd.storage import services
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.services import ToolChange


async def test_a_service_comes_back_by_key(seeded: SqliteDatabase) -> None:
    assert await seeded.one(services.by_key(AGENT, "git")) == service()
    assert await seeded.all(services.of_agent(AGENT)) == [service()]
    with pytest.raises(Conflict):
        await run(seeded, services.insert(service(id="service-2")))


async def test_a_removed_service_is_not_found_and_makes_room(seeded: SqliteDatabase) -> None:
    remove = services.set_state(SERVICE, ServiceState.REMOVED, Revision(1))
    assert await run(seeded, remove, remove) == [1, 0]
    assert await seeded.one(services.by_key(AGENT, "git")) is None
    assert await seeded.all(services.of_agent(AGENT)) == []
    await run(seeded, services.insert(service(id="service-2")))


async def test_an_update_needs_the_present_revision(seeded: SqliteDatabase) -> None:
    after = replace(service(), state=ServiceState.DISABLED, drift="flagged", rev=Revision(2))
    assert await run(seeded, services.update(after), services.update(after)) == [1, 0]
    assert await seeded.one(services.by_key(AGENT, "git")) == after


async def test_what_discovery_and_probe_found_is_noted(seeded: SqliteDatabase) -> None:
    await run(
        seeded,
        services.set_error(SERVICE, "down"),
        services.set_discovery(SERVICE, "hash", AT + 1),
        services.set_era(SERVICE, UpstreamEra.MODERN, AT + 2),
        services.set_drift(SERVICE, "flagged"),
        services.set_connector(SERVICE, "1" * 64),
    )
    assert await run(seeded, services.set_drift(SERVICE, "flagged")) == [0]
    assert await seeded.one(services.by_key(AGENT, "git")) == replace(
        service(),
        catalogue="discovered",
        tools_hash="hash",
        discovered_at=AT + 1,
        era=UpstreamEra.MODERN,
        era_at=AT + 2,
        drift="flagged",
        connector_sha256="1" * 64,
        rev=Revision(4),
    )


async def test_a_tool_is_written_anew_and_keeps_when_it_was_first_seen(
    seeded: SqliteDatabase,
) -> None:
    declared = tool("declared", definition=None, hash=None)
    again = tool(first_seen_at=AT + 9, last_seen_at=AT + 9, tier=Tier.WRITE)
    for one in (tool(), declared, again):
        await run(seeded, services.put_tool(SERVICE, one))
    kept = replace(again, first_seen_at=AT)
    assert await seeded.all(services.tools(SERVICE)) == [declared, kept]
    assert await seeded.one(services.tool(SERVICE, "status")) == kept


async def test_status_override_and_acknowledgement_of_a_tool(seeded: SqliteDatabase) -> None:
    override = services.set_override(
        SERVICE, "status", Tier.DESTRUCTIVE, Tier.DESTRUCTIVE, TierSource.OVERRIDE
    )
    await run(
        seeded,
        services.put_tool(SERVICE, tool()),
        services.set_tool_status(SERVICE, "status", ToolStatus.EXCLUDED, "name"),
        override,
    )
    acks = [services.ack(SERVICE, "status", digest) for digest in ("old", "h1")]
    assert await run(seeded, *acks) == [0, 1]
    assert await seeded.one(services.tool(SERVICE, "status")) == tool(
        status=ToolStatus.EXCLUDED,
        exclude_reason="name",
        override_tier=Tier.DESTRUCTIVE,
        tier=Tier.DESTRUCTIVE,
        tier_source=TierSource.OVERRIDE,
        acked_hash="h1",
    )


async def test_changes_are_open_until_acknowledged(seeded: SqliteDatabase) -> None:
    added = ToolChange("c1", SERVICE, "a", "added", None, {"name": "a"}, (), AT)
    changed = ToolChange("c2", SERVICE, "b", "changed", {"v": 1}, {"v": 2}, ("p",), AT)
    await run(seeded, services.insert_change(added), services.insert_change(changed))
    assert await seeded.all(services.open_changes(SERVICE)) == [added, changed]
    await run(seeded, services.ack_changes(SERVICE, "b", AT, "uid:0"))
    assert await seeded.all(services.open_changes(SERVICE)) == [added]
