"""The client: whom it trusts, what it sends, and its three named failures."""

import asyncio
import os
import socket
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.admin import admin_socket, scripted
from wicketd.admin.usecases import Ask, UseCases
from wicketd.api import endpoints
from wicketd.api.client import (
    AdminClient,
    Refused,
    TimedOut,
    Unreachable,
    VersionMismatch,
    check_socket,
)
from wicketd.api.types.agents import AgentRef
from wicketd.api.types.listing import Empty, Nothing
from wicketd.api.types.members import MemberRef
from wicketd.api.types.status import EventsAsk
from wicketd.domain.errors import BadRequest


def bound(path: Path, mode: int = 0o600) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    path.chmod(mode)
    return path


@asynccontextmanager
async def canned(path: Path, answer: bytes) -> AsyncIterator[list[bytes]]:
    """A foreign server: gives one answer to whatever comes, and keeps what came."""
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, str(path))
    path.chmod(0o600)
    async with server:
        yield came


def http(status: str, body: bytes, api: str = "1") -> bytes:
    head = f"HTTP/1.1 {status}\r\nWicket-Api: {api}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_a_missing_socket_says_how_to_start_the_daemon(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        check_socket(tmp_path / "none")

    assert "wicketd serve" in caught.value.hint


def test_what_is_no_socket_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Unreachable, match="not a socket"):
        check_socket(tmp_path / "file")


def test_a_socket_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="everybody"):
        check_socket(bound(tmp_path / "s", 0o666))


def test_our_own_private_socket_is_trusted(tmp_path: Path) -> None:
    check_socket(bound(tmp_path / "s"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make another user's socket")
def test_a_strangers_private_socket_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bound(tmp_path / "s", 0o600)
    os.chown(path, 4242, 4242)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(Unreachable, match="permission denied"):
        check_socket(path)


async def test_nobody_behind_the_socket_is_named(tmp_path: Path) -> None:
    async with AdminClient(bound(tmp_path / "s")) as client:
        with pytest.raises(Unreachable, match="Nobody answers"):
            await client.call(endpoints.STATUS, Empty())


async def test_an_untrusted_socket_gets_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with canned(path, http("200 OK", b"{}")) as came, AdminClient(path) as client:
        path.chmod(0o666)
        with pytest.raises(Unreachable):
            await client.call(endpoints.AGENT_DELETE, _delete(), match=1)

    assert came == []


async def test_names_are_quoted_into_the_path(tmp_path: Path) -> None:
    seen: list[Any] = []

    async def show(_uses: UseCases, ask: Ask[MemberRef]) -> Nothing:
        seen.append(ask.request)
        return Nothing()

    request = MemberRef(agent="a", member="ann+x@example.test?q#f ü")
    async with (
        admin_socket(tmp_path, scripted(member_remove=show)) as path,
        AdminClient(path) as client,
    ):
        await client.call(endpoints.MEMBER_REMOVE, request)

    assert seen == [request]


async def test_an_error_without_our_shape_still_has_a_code(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with canned(path, http("413 Too Large", b"<html>")), AdminClient(path) as client:
        with pytest.raises(Refused) as caught:
            await client.call(endpoints.STATUS, Empty())

    assert caught.value.body.code == "too_large"


async def test_an_answer_that_is_no_contract_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with canned(path, http("200 OK", b"[]")), AdminClient(path) as client:
        with pytest.raises(Unreachable, match="admin contract"):
            await client.call(endpoints.AGENT_SHOW, AgentRef(agent="a"))


async def test_another_contract_number_warns_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with canned(path, http("200 OK", b"{}", api="2")), AdminClient(path) as client:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            await client.call(endpoints.SERVICE_REMOVE, _remove())

    assert [warning.category for warning in seen] == [VersionMismatch]


async def test_silence_is_a_timeout(tmp_path: Path) -> None:
    async def forever(_uses: UseCases, _ask: Ask[Any]) -> Any:
        await asyncio.Event().wait()

    handlers = {**scripted(), "status": forever}
    async with (
        admin_socket(tmp_path, handlers) as path,
        AdminClient(path, timeout_s=0.05) as client,
    ):
        with pytest.raises(TimedOut):
            await client.call(endpoints.STATUS, Empty())


async def test_a_refused_stream_is_an_error_and_no_stream(tmp_path: Path) -> None:
    async def refuse(_uses: UseCases, ask: Ask[EventsAsk]) -> Any:
        assert ask.last_event_id == "7"
        message = "No such topic."
        raise BadRequest(message)

    async with (
        admin_socket(tmp_path, scripted(events=refuse)) as path,
        AdminClient(path) as client,
    ):
        with pytest.raises(Refused) as caught:
            async for _ in client.events(EventsAsk(), last_id="7"):
                pass

    assert caught.value.body.code == "bad_request"


def _delete() -> Any:
    return endpoints.AGENT_DELETE.request(agent="a", confirm="a")


def _remove() -> Any:
    return endpoints.SERVICE_REMOVE.request(agent="a", service="s")
