"""The call path over its real ports: real decision, credential and upstream over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.calling import NO_WIPING, break_disk
from tests.support.state import ADMIN
from tests.support.wired import Wired, open_wired
from wicketd.domain.agents import AgentStatus
from wicketd.services.snapshots import AgentSnapshot


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Wired]:
    async with open_wired(tmp_path) as running:
        yield running


async def kinds_since(wired: Wired, before: int) -> list[str]:
    """Audit rows behind the first `before`, sessions apart."""
    kinds = await wired.calling.state.kinds(before)
    return [kind for kind in kinds if kind != "session.started"]


@pytest.mark.requirement("N1", "N6")
async def test_an_allowed_call_is_forwarded_as_decided_between_its_two_rows(wired: Wired) -> None:
    await wired.key()
    before = await wired.calling.state.recorded()
    answer = await wired.call(text="hello", more=[1, {"a": None}])
    assert answer["result"]["content"][0]["text"] == '{"text":"hello","more":[1,{"a":null}]}'
    (seen,) = wired.forwarded
    assert seen.body["params"]["name"] == "look"
    assert await kinds_since(wired, before) == ["call.intent", "call.outcome"]


@pytest.mark.requirement("N6")
async def test_a_denied_call_reaches_no_upstream(wired: Wired) -> None:
    await wired.calling.policy("No wiping", NO_WIPING)
    await wired.key()
    before = await wired.calling.state.recorded()
    error = (await wired.call("open__wipe"))["error"]
    assert error["message"].startswith("Authorization denied: tool 'wipe'")
    assert wired.upstream.seen == []
    assert await kinds_since(wired, before) == ["call.denied"]


@pytest.mark.requirement("FC1", "N6")
async def test_a_call_whose_intent_is_not_durable_reaches_no_upstream(wired: Wired) -> None:
    await wired.key()
    await break_disk(wired.calling.state.db)
    error = (await wired.call())["error"]
    assert error["message"].startswith("Audit log is not writable — call refused")
    assert wired.upstream.seen == []


@pytest.mark.requirement("N3")
async def test_a_credential_goes_to_its_own_service_and_to_no_other(wired: Wired) -> None:
    await wired.key()
    await wired.calling.state.connections.set_static(ADMIN, "demo", "bob", "notes", b"t0ken")
    await wired.call("notes__search_notes")
    await wired.call("open__look")
    sent = [seen.headers.get("Authorization") for seen in wired.forwarded]
    assert sent == ["Bearer t0ken", None]
    assert not any(wired.keys["bob"] in str(seen) for seen in wired.upstream.seen)


async def test_a_service_that_is_not_connected_closes_the_intent_and_says_where_to_go(
    tmp_path: Path,
) -> None:
    async with open_wired(tmp_path, portal="https://portal.test/notes") as wired:
        await wired.key()
        before = await wired.calling.state.recorded()
        error = (await wired.call("notes__search_notes"))["error"]
        assert "connect your account at https://portal.test/notes" in error["message"]
        assert await kinds_since(wired, before) == ["call.intent", "call.outcome"]
        assert wired.upstream.seen == []


async def test_an_upstream_that_fails_is_told_as_such(wired: Wired) -> None:
    wired.server.answers["look"] = lambda _: web.Response(status=500)
    error = (await wired.call())["error"]
    assert error["message"].startswith("Service 'open' could not be reached")


async def test_the_status_tool_is_decided_and_answered_here(wired: Wired) -> None:
    await wired.key()
    before = await wired.calling.state.recorded()
    result = (await wired.call("wicket__status"))["result"]
    assert {one["key"]: one["state"] for one in result["structuredContent"]["services"]} == {
        "notes": "unavailable",
        "open": "available",
    }
    assert wired.forwarded == []
    kinds = await kinds_since(wired, before)
    assert (kinds[0], kinds[-1]) == ("call.intent", "call.outcome")


async def test_a_service_that_left_the_snapshot_meanwhile_is_unreachable(wired: Wired) -> None:
    caller = await wired.calling.caller("eve")
    call = wired.calling.call(caller)
    credential = await wired.ports.credentials(call)
    wired.calling.state.snapshots.drop(caller.agent.id)
    failure = await wired.ports.send(call, credential, wired.front)  # type: ignore[arg-type]
    assert failure.status is None
    assert wired.ports.mirrored_schema(call) is None
    assert wired.upstream.seen == []


@pytest.mark.requirement("FC16")
async def test_the_kill_switch_holds_from_the_next_call_on(wired: Wired) -> None:
    await wired.call()
    await wired.calling.state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED)
    wired.calling.callers.forget_agent((await wired.calling.state.agents.get("demo")).id)
    error = (await wired.call())["error"]
    assert error["message"].startswith("Agent is disabled")
    assert len(wired.forwarded) == 1
    assert (await wired.calling.last()).tool == "open__look"


async def test_only_a_shown_tool_that_mirrors_arguments_has_a_schema(wired: Wired) -> None:
    caller = await wired.calling.caller("eve")
    assert wired.ports.mirrored_schema(wired.calling.call(caller)) is None
    assert wired.ports.mirrored_schema(wired.calling.call(caller, "none")) is None
    snapshot = wired.calling.state.snapshots.of(caller.agent.id)
    assert isinstance(snapshot, AgentSnapshot)
