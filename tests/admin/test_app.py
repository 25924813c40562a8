"""What stands before a handler: peer, route, permission, size, decoding, revision."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from tests.support.admin import TestClock, admin_socket, get, nothing, post, raw, scripted
from wicketd.admin.peer import Admission
from wicketd.admin.usecases import Ask, UseCases
from wicketd.api import endpoints
from wicketd.api.client import AdminClient, Refused
from wicketd.api.endpoints import ENDPOINTS
from wicketd.api.types import agents
from wicketd.api.types.agents import AgentRef, AgentUpdate
from wicketd.api.types.listing import Empty, Nothing
from wicketd.api.types.status import EventsAsk, WhoAmI
from wicketd.domain.errors import Conflict

AGENT = agents.Agent(
    id="i",
    key="a",
    name="A",
    status="active",
    disabled_reason=None,
    trust="trusted",
    tz="UTC",
    session_scope="key",
    policy_revision=0,
    tags=(),
    created_by="uid:0",
    created_at="2026-01-01T00:00:00.000Z",
    deleted_at=None,
    rev=7,
)


async def who(_uses: UseCases, ask: Ask[Empty]) -> WhoAmI:
    actor = ask.actor
    return WhoAmI(uid=actor.uid, name=actor.name, pid=actor.pid, permission=actor.permission.value)


def code(body: bytes) -> str:
    return str(msgspec.json.decode(body)["code"])


async def test_the_kernel_says_who_asks(tmp_path: Path) -> None:
    async with (
        admin_socket(tmp_path, scripted(whoami=who)) as path,
        AdminClient(path) as client,
    ):
        found = await client.call(endpoints.WHOAMI, Empty())

    assert (found.uid, found.pid, found.permission) == (os.getuid(), os.getpid(), "write")


async def test_answers_carry_versions_and_are_not_cached(tmp_path: Path) -> None:
    async with admin_socket(tmp_path, scripted()) as path:
        answer = await raw(path, get("/v1/status"))

    assert answer.status == 200
    assert answer.headers["wicket-version"] == "9.9.9"
    assert answer.headers["wicket-api"] == "1"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.requirement("P21")
@pytest.mark.parametrize(
    "header",
    [
        "Origin: http://wicket-admin",
        "origin: null",
        "Referer: http://x/",
        "Sec-Fetch-Mode: cors",
        "Sec-Fetch-Anything: x",
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Host: wicket-admin",
        "Forwarded: for=1.2.3.4",
    ],
)
async def test_a_browser_is_refused(tmp_path: Path, header: str) -> None:
    async with admin_socket(tmp_path, scripted()) as path:
        answer = await raw(path, get("/v1/status", header))

    assert (answer.status, code(answer.body)) == (403, "forbidden")


@pytest.mark.requirement("P21")
@pytest.mark.parametrize("host", ["localhost", "wicket-admin:80", "WICKET-ADMIN.evil", "evil"])
async def test_a_foreign_host_is_refused(tmp_path: Path, host: str) -> None:
    async with admin_socket(tmp_path, scripted()) as path:
        answer = await raw(path, get("/v1/status", host=host))

    assert answer.status == 403


@pytest.mark.requirement("P21")
async def test_an_outsider_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid() == 0:
        monkeypatch.setattr("wicketd.server.read_peer", lambda _: (1, 4242, 4242, ()))
    nobody_here = Admission(daemon_uid=os.getuid() + 1, write_group=None, read_group=None)
    async with admin_socket(tmp_path, scripted(), admission=nobody_here) as path:
        answer = await raw(path, get("/v1/status"))

    assert (answer.status, code(answer.body)) == (403, "forbidden")


@pytest.mark.requirement("P22")
@pytest.mark.parametrize(
    "row", [row for row in ENDPOINTS if row.permission == "write"], ids=lambda row: row.name
)
async def test_the_read_only_socket_refuses_each_write(tmp_path: Path, row: Any) -> None:
    reached: list[str] = []

    async def note(_uses: UseCases, _ask: Ask[Any]) -> Nothing:
        reached.append("handler")
        return Nothing()

    handlers = {one.name: note for one in ENDPOINTS}
    async with admin_socket(tmp_path, handlers, read_only=True) as path:
        target = row.path.replace("{", "").replace("}", "")
        answer = await raw(path, get(target, method=row.method))

    assert (answer.status, code(answer.body), reached) == (403, "forbidden", [])


async def test_an_unknown_path_is_not_found(tmp_path: Path) -> None:
    async with admin_socket(tmp_path, scripted()) as path:
        for target in ("/", "/mcp", "/v1/nothing", "/v1/agents/"):
            answer = await raw(path, get(target))
            assert (answer.status, code(answer.body)) == (404, "not_found")


async def test_a_body_over_one_mebibyte_is_refused(tmp_path: Path) -> None:
    async with admin_socket(tmp_path, scripted()) as path:
        answer = await raw(path, post("/v1/agents", b" " * (1024 * 1024 + 1)))

    assert (answer.status, code(answer.body)) == (413, "too_large")


async def test_a_body_that_is_not_declared_as_json_is_refused(tmp_path: Path) -> None:
    async with admin_socket(tmp_path, scripted()) as path:
        answer = await raw(path, post("/v1/panic", b"{}", "Content-Type: text/plain"))

    assert (answer.status, code(answer.body)) == (400, "bad_request")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"x":1}', b'{"agent":3}', b"\xff"])
async def test_a_body_that_does_not_fit_is_refused(tmp_path: Path, body: bytes) -> None:
    async with admin_socket(tmp_path, scripted()) as path:
        answer = await raw(path, post("/v1/panic", body))

    assert (answer.status, code(answer.body)) == (400, "bad_request")


async def test_a_write_without_its_revision_never_reaches_the_handler(tmp_path: Path) -> None:
    async with (
        admin_socket(tmp_path, scripted()) as path,
        AdminClient(path) as client,
    ):
        with pytest.raises(Refused) as caught:
            await client.call(endpoints.AGENT_UPDATE, AgentUpdate(agent="a", name="B"))

    assert caught.value.body.code == "precondition_required"


async def test_revision_and_tag_travel_as_headers(tmp_path: Path) -> None:
    asked: list[int | None] = []

    async def update(_uses: UseCases, ask: Ask[AgentUpdate]) -> agents.Agent:
        asked.append(ask.expected)
        return AGENT

    async with admin_socket(tmp_path, scripted(agent_update=update)) as path:
        request = post("/v1/agents/a", b'{"name":"B"}', 'If-Match: "6"', method="PATCH")
        answer = await raw(path, request)

    assert (asked, answer.headers["etag"]) == ([6], '"7"')


async def test_an_error_has_the_one_shape(tmp_path: Path) -> None:
    async def show(_uses: UseCases, _ask: Ask[AgentRef]) -> agents.Agent:
        raise Conflict("Cannot.", hint="Do this.", details=({"a": 1},))

    async with admin_socket(tmp_path, scripted(agent_show=show)) as path:
        answer = await raw(path, get("/v1/agents/a"))

    assert answer.status == 409
    assert msgspec.json.decode(answer.body) == {
        "code": "conflict",
        "message": "Cannot.",
        "hint": "Do this.",
        "details": [{"a": 1}],
    }


async def test_an_unforeseen_failure_says_nothing_of_itself(tmp_path: Path) -> None:
    async def show(_uses: UseCases, _ask: Ask[AgentRef]) -> agents.Agent:
        raise RuntimeError("canary-4711")

    async with admin_socket(tmp_path, scripted(agent_show=show)) as path:
        answer = await raw(path, get("/v1/agents/a"))

    assert (answer.status, code(answer.body)) == (500, "internal")
    assert b"canary" not in answer.body


async def test_a_request_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def show(_uses: UseCases, _ask: Ask[AgentRef]) -> agents.Agent:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return AGENT

    monkeypatch.setattr("wicketd.admin.app.DEADLINE_S", 0.05)
    async with admin_socket(tmp_path, scripted(agent_show=show)) as path:
        answer = await raw(path, get("/v1/agents/a"))

    assert (answer.status, code(answer.body)) == (408, "timeout")
    assert ended.is_set()


async def test_a_stream_arrives_as_it_is_made_and_is_closed_with_the_client(
    tmp_path: Path,
) -> None:
    closed = asyncio.Event()

    async def frames() -> AsyncIterator[bytes]:
        try:
            yield b": ping\n\n"
            yield b'id: 1\nevent: audit\ndata: {"seq":1}\n\n'
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def stream(_uses: UseCases, _ask: Ask[EventsAsk]) -> AsyncIterator[bytes]:
        return frames()

    async with admin_socket(tmp_path, scripted(events=stream)) as path:
        async with AdminClient(path) as client:
            events = client.events(EventsAsk())
            first = await anext(events)
            await events.aclose()  # type: ignore[attr-defined]  # it is a generator
        async with asyncio.timeout(5):
            await closed.wait()

    assert (first.id, first.topic, first.data) == ("1", "audit", {"seq": 1})


async def test_a_removed_admin_loses_a_live_stream(tmp_path: Path) -> None:
    clock = TestClock()
    gate = asyncio.Event()

    class Removed(Admission):
        __slots__ = ()

        @override
        def still_admits(self, peer: Any) -> bool:
            return False

    async def frames() -> AsyncIterator[bytes]:
        yield b": ping\n\n"
        yield b"id: 1\nevent: audit\ndata: {}\n\n"
        await gate.wait()
        clock.pass_s(61)
        yield b"id: 2\nevent: audit\ndata: {}\n\n"

    async def stream(_uses: UseCases, _ask: Ask[EventsAsk]) -> AsyncIterator[bytes]:
        return frames()

    admission = Removed(daemon_uid=os.getuid(), write_group=None, read_group=None)
    async with (
        admin_socket(tmp_path, scripted(events=stream), admission=admission, clock=clock) as path,
        AdminClient(path) as client,
    ):
        seen = []
        async for event in client.events(EventsAsk()):
            seen.append(event.id)
            gate.set()

    assert seen == ["1"]


async def test_a_table_without_its_handlers_does_not_start(tmp_path: Path) -> None:
    handlers = dict(scripted())
    del handlers["status"]

    with pytest.raises(ValueError, match="status"):
        async with admin_socket(tmp_path, handlers):
            pass
    with pytest.raises(ValueError, match=r"no\.such"):
        async with admin_socket(tmp_path, {**scripted(), "no.such": nothing}):
            pass
