"""The session with the daemon where there is none: what is never sent, and what the log keeps."""

import asyncio
from pathlib import Path

import pytest

from tests.support.admin import admin_socket, nothing
from tests.support.administered import use_cases
from tests.support.state import open_state
from wicket_tui.client import CallFailed, Link, Moved, Session, Told
from wicketd.admin.handlers import HANDLERS
from wicketd.api import endpoints
from wicketd.api.types import members, services


async def test_a_reader_sends_no_write(tmp_path: Path) -> None:
    session = Session(tmp_path / "none.sock", lambda _: None, read_only=True)
    request = members.MemberApprove(agent="a", member="m")
    with pytest.raises(CallFailed) as refused:
        await session.call(endpoints.MEMBER_APPROVE, request)
    assert refused.value.problem.code == "forbidden"
    assert "--read-only" in refused.value.problem.message


async def test_a_command_of_the_log_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    lost = asyncio.Event()

    def hear(told: Told) -> None:
        if isinstance(told, Moved) and told.standing.link is Link.LOST:
            lost.set()

    session = Session(tmp_path / "none.sock", hear)
    running = asyncio.create_task(session.run())
    await asyncio.wait_for(lost.wait(), 10)
    request = services.TierSet(agent="a", service="s", tool="x;$(reboot)", tier="read")
    with pytest.raises(CallFailed):
        await session.call(endpoints.TOOL_TIER, request, match=1)
    running.cancel()
    assert session.log[-1].command == "wicket service tier a s 'x;$(reboot)'"
    assert session.log[-1].outcome == "unreachable"


async def test_a_stream_that_is_refused_at_once_is_tried_ever_more_rarely(tmp_path: Path) -> None:
    lost: list[float] = []
    enough = asyncio.Event()

    def hear(told: Told) -> None:
        if isinstance(told, Moved) and told.standing.link is Link.LOST:
            lost.append(told.standing.retry_s)
            if len(lost) == 3:
                enough.set()

    handlers = {**HANDLERS, "events": nothing}
    async with (
        open_state(tmp_path) as state,
        admin_socket(tmp_path, handlers, uses=use_cases(state)) as socket,
    ):
        session = Session(socket, hear)
        running = asyncio.create_task(session.run())
        await asyncio.wait_for(enough.wait(), 20)
        running.cancel()
    assert lost == [0.25, 0.5, 1.0]
