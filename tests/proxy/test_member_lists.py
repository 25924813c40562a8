"""A member's list under front names, and the status tool's answer."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.calling import NO_WIPING, Calling, open_calling
from tests.support.fronts import Tasks
from tests.support.state import tool
from wicketd.domain.calls import Caller
from wicketd.domain.catalogue import Connector, Listing
from wicketd.domain.connections import Credential
from wicketd.domain.json import JsonObject
from wicketd.proxy.member_lists import MemberLists
from wicketd.services.listing import Listings, Reach


class OneServer:
    """The upstream of `open`."""

    async def list_items(
        self, connector: Connector, caller: Caller, credential: Credential, listing: Listing
    ) -> list[JsonObject]:
        return [tool("look"), tool("wipe")]


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Calling]:
    async with open_calling(tmp_path) as fresh:
        yield fresh


def lists_of(calling: Calling, *, portal: str | None = None, name_max: int = 48) -> MemberLists:
    """Lists over a state."""
    state = calling.state
    reach = Reach(
        OneServer(), state.connections.unlocker, state.services.observe, lambda _agent, _key: None
    )
    listings = Listings(state.snapshots, reach, state.clock, Tasks())
    return MemberLists(listings, lambda _caller, _service: portal, name_max=name_max)


async def test_tools_are_listed_under_their_front_names(calling: Calling) -> None:
    view = await lists_of(calling).list_tools(await calling.caller())
    assert [one["name"] for one in view.tools] == ["open__look", "open__wipe", "wicket__status"]
    assert view.unavailable == []


async def test_a_name_that_is_too_long_is_left_out_with_a_note(calling: Calling) -> None:
    lists = lists_of(calling, name_max=len("open__look") - 1)
    view = await lists.list_tools(await calling.caller())
    assert not [one for one in view.tools if str(one["name"]).startswith("open__")]


@pytest.mark.requirement("N4")
async def test_the_digest_changes_with_what_the_member_sees(calling: Calling) -> None:
    lists, caller = lists_of(calling), await calling.caller()
    before = await lists.digest(caller, Listing.TOOLS)
    assert await lists.digest(caller, Listing.TOOLS) == before
    assert lists.is_shown(caller, "open", "wipe")
    await calling.policy("No wiping", NO_WIPING)
    assert await lists.digest(caller, Listing.TOOLS) != before
    assert not lists.is_shown(caller, "open", "wipe")


async def test_the_status_tool_names_every_enabled_service(calling: Calling) -> None:
    await calling.state.service()
    caller = await calling.caller()
    answer = await lists_of(calling, portal="https://portal.test").status(caller)
    assert answer.result is not None
    assert answer.result["structuredContent"] == {
        "services": [
            {
                "key": "notes",
                "state": "unavailable",
                "reason": "not_connected",
                "url": "https://portal.test",
            },
            {"key": "open", "state": "available"},
        ]
    }
    assert (answer.error, answer.status) == (None, None)
