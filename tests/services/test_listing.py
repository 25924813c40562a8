"""A member's lists: asked in parallel, remembered, filtered as calls are decided."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.calling import NO_WIPING, Calling, open_calling
from tests.support.fronts import Tasks
from tests.support.state import ADMIN, NOTES, moved, tool
from wicketd.domain.calls import Caller
from wicketd.domain.catalogue import Connector, Listing
from wicketd.domain.connections import Credential
from wicketd.domain.errors import Malformed, TimedOut, Unreachable, Upstream
from wicketd.domain.json import JsonObject
from wicketd.services.listing import FRESH_MS, LAST_GOOD_MS, Listed, Listings, Reach


@dataclass
class Servers:
    """Tool lists by service; an entry that is an event is waited for first."""

    lists: dict[str, list[JsonObject] | Upstream] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def list_items(
        self, connector: Connector, caller: Caller, credential: Credential, listing: Listing
    ) -> list[JsonObject]:
        self.asked.append((connector.key, str(caller.member.local_name)))
        if connector.key in self.held:
            await self.held[connector.key].wait()
        said = self.lists.get(connector.key, [])
        if isinstance(said, Upstream):
            raise said
        return said


@dataclass
class House:
    """Listings over a state, and what they told of."""

    calling: Calling
    servers: Servers
    listings: Listings
    late: list[str] = field(default_factory=list)

    def hold(self, service: str) -> None:
        """The server of a service answers nothing until its event is set."""
        self.servers.held[service] = asyncio.Event()

    async def of(self, member: str = "bob") -> Listed:
        """A member's view."""
        caller = await self.calling.caller(member)
        return await self.listings.of(caller, lambda key: f"https://portal.test/{key}")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_calling(tmp_path) as calling:
        state, servers, tasks = calling.state, Servers(), Tasks()
        late: list[str] = []
        tell: Callable[[str, str], None] = lambda agent, service: late.append(service)  # noqa: E731
        reach = Reach(servers, state.connections.unlocker, state.services.observe, tell)
        listings = Listings(state.snapshots, reach, state.clock, tasks, deadline_s=1.0)
        servers.lists["open"] = [tool("look"), tool("wipe"), tool("extra")]
        await calling.caller()
        yield House(calling, servers, listings, late)
        for task in list(tasks.running):
            task.cancel()


def shown(listed: Listed) -> list[str]:
    """Names in order."""
    return [f"{service}__{name}" for service, name in sorted(listed.shown) if service != "wicket"]


def reasons(listed: Listed) -> dict[str, str]:
    """What is missing, and why."""
    return {str(note["service"]): str(note["reason"]) for note in listed.unavailable}


@pytest.mark.requirement("FC18")
async def test_a_list_shows_what_a_call_would_be_allowed(house: House) -> None:
    await house.calling.policy("No wiping", NO_WIPING)
    listed = await house.of()
    assert shown(listed) == ["open__extra", "open__look"]
    caller = await house.calling.caller()
    for name in ("look", "wipe", "extra", "none"):
        is_allowed = (
            ("open", name) in house.calling.state.snapshots.of(caller.agent.id).tools  # type: ignore[union-attr]
            and house.calling.decide(house.calling.call(caller, name)).allow
        )
        assert house.listings.is_shown(caller, "open", name) == is_allowed


@pytest.mark.requirement("FC18")
async def test_an_agent_without_a_set_in_force_shows_nothing(house: House) -> None:
    caller = await house.calling.caller()
    house.calling.state.snapshots.drop(caller.agent.id)
    listed = await house.of()
    assert (listed.shown, listed.catalogues, listed.enabled) == (frozenset(), {}, ())
    assert not house.listings.is_shown(caller, "open", "look")


async def test_a_new_tool_of_a_list_is_stored_and_shown_at_once(house: House) -> None:
    assert "open__extra" in shown(await house.of())


async def test_lists_are_remembered_for_ten_minutes_and_shared_without_a_credential(
    house: House,
) -> None:
    await house.of("bob")
    await house.of("eve")
    house.calling.state.clock.ms += FRESH_MS - 1
    await house.of("bob")
    assert house.servers.asked == [("open", "bob")]
    house.calling.state.clock.ms += 1
    await house.of("eve")
    assert house.servers.asked == [("open", "bob"), ("open", "eve")]


@pytest.mark.requirement("N4")
async def test_lists_under_a_credential_are_each_members_own(house: House) -> None:
    state = house.calling.state
    await state.service()
    for member in ("bob", "eve"):
        await house.calling.caller(member)
        await state.connections.set_static(ADMIN, "demo", member, "notes", b"token")
    house.servers.lists["notes"] = [tool("search_notes")]
    first = await house.of("bob")
    house.servers.lists["notes"] = [tool("create_note")]
    second = await house.of("eve")
    assert [one["name"] for one in first.catalogues["notes"]] == ["search_notes"]
    assert [one["name"] for one in second.catalogues["notes"]] == ["create_note"]


async def test_two_that_ask_at_once_ask_the_server_once(house: House) -> None:
    await house.calling.caller()
    await asyncio.gather(house.of(), house.of(), house.of())
    assert house.servers.asked == [("open", "bob")]


async def test_a_service_that_is_not_connected_says_so_with_its_link(house: House) -> None:
    await house.calling.state.service()
    listed = await house.of()
    assert listed.unavailable == (
        {"service": "notes", "reason": "not_connected", "url": "https://portal.test/notes"},
    )
    assert listed.enabled == ("notes", "open")
    assert "open__look" in shown(listed)
    assert house.listings.faults() == {}  # it is the member's to mend, not the administrator's


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimedOut("x"), "timeout"),
        (Unreachable("x"), "unreachable"),
        (Malformed("x"), "incompatible"),
    ],
)
async def test_a_server_that_fails_is_named_with_its_reason(
    house: House, error: Upstream, reason: str
) -> None:
    house.servers.lists["open"] = error
    listed = await house.of()
    assert (reasons(listed), listed.catalogues["open"]) == ({"open": reason}, [])
    assert list(house.listings.faults().values()) == [reason]


async def test_administrators_see_a_fault_until_the_next_good_list_or_the_end_of_the_service(
    house: House,
) -> None:
    house.servers.lists["open"] = Unreachable("x")
    await house.of()
    agent = await house.calling.state.agents.get("demo")
    assert house.listings.faults() == {(agent.id, "open"): "unreachable"}
    house.servers.lists["open"] = [tool("look")]
    await house.of()
    assert house.listings.faults() == {}
    house.servers.lists["open"] = Malformed("x")
    house.calling.state.clock.ms += FRESH_MS
    await house.of()
    assert list(house.listings.faults().values()) == ["incompatible"]
    await house.calling.state.services.disable(ADMIN, "demo", "open")
    assert house.listings.faults() == {}


async def test_the_last_good_list_stands_in_for_a_day(house: House) -> None:
    await house.of()
    house.servers.lists["open"] = Unreachable("x")
    house.calling.state.clock.ms += LAST_GOOD_MS - 1
    listed = await house.of()
    assert (reasons(listed), "open__look" in shown(listed)) == ({"open": "unreachable"}, True)
    house.calling.state.clock.ms += 1
    assert shown(await house.of()) == []


async def test_a_list_that_no_longer_fits_is_not_replaced_by_an_old_one(house: House) -> None:
    await house.of()
    house.servers.lists["open"] = Malformed("x")
    house.calling.state.clock.ms += FRESH_MS
    assert shown(await house.of()) == []


async def test_a_late_list_is_not_waited_for_but_announced_and_then_there(house: House) -> None:
    house.hold("open")
    assert reasons(await house.of()) == {"open": "timeout"}
    assert list(house.listings.faults().values()) == ["timeout"]
    assert house.late == []
    house.servers.held["open"].set()
    async with asyncio.timeout(5):
        while not house.late:
            await asyncio.sleep(0)
    assert house.late == ["open"]
    assert house.listings.faults() == {}
    listed = await house.of()
    assert (reasons(listed), "open__look" in shown(listed)) == ({}, True)
    assert house.servers.asked == [("open", "bob")]


async def test_a_list_in_time_is_not_announced(house: House) -> None:
    await house.of()
    assert house.late == []


async def test_a_slow_server_holds_no_other_up(house: House) -> None:
    state = house.calling.state
    state.connectors["slow"] = moved(NOTES, 'key = "notes"', 'key = "slow"').replace(
        'credential = { kind = "static", header = "Authorization", format = "Bearer {token}" }',
        'credential = { kind = "none" }',
    )
    await state.services.reload(ADMIN)
    state.upstreams.lists["slow"] = [tool("search_notes")]
    await state.services.enable(ADMIN, "demo", "slow")
    house.hold("slow")
    listed = await house.of()
    assert reasons(listed) == {"slow": "timeout"}
    assert "open__look" in shown(listed)


async def test_another_connector_file_does_not_answer_from_the_old_ones_list(house: House) -> None:
    state = house.calling.state
    await house.of()
    state.connectors["open"] = moved(
        state.connectors["open"], "open.example.test", "new.example.test"
    )
    await state.services.reload(ADMIN)
    await house.of()
    assert len(house.servers.asked) == 2


async def test_the_status_tool_says_in_every_list_what_is_missing(house: House) -> None:
    house.servers.lists["open"] = Unreachable("x")
    definitions: Sequence[JsonObject] = (await house.of()).catalogues["wicket"]
    assert [one["name"] for one in definitions] == ["status"]
    assert "open (unreachable)" in str(definitions[0]["description"])
