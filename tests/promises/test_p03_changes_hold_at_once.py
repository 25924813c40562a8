"""P3: policy edit, kill switch, member removal and key revocation hold from the next request on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
import pytest_asyncio

from tests.support.gate import AGENT, Gate, open_gate
from tests.support.mcp_client import Answer, McpClient
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.client import Refused
from wicketd.api.types.agents import AgentStatusSet
from wicketd.api.types.members import KeyRevoke, MemberRef
from wicketd.api.types.policies import PolicyEnabled, PolicyRef
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLIENTS = 16
Change = Callable[[Gate], Awaitable[object]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    settings = "[rate]\nburst = 100000\nper_second = 100000.0\n"
    async with open_gate(tmp_path_factory.mktemp("p"), settings) as gate:
        yield gate


async def forbid(gate: Gate) -> None:
    await gate.policy("Stop", 'forbid (principal, action == DeskMCP::Action::"echo", resource);')


async def allow_again(gate: Gate) -> None:
    policy = PolicyRef(agent=AGENT, policy="stop")
    now = (await gate.admin.call(policy_endpoints.POLICY_SHOW, policy)).policy_revision
    off = PolicyEnabled(agent=AGENT, policy="stop", enabled=False)
    await gate.admin.call(policy_endpoints.POLICY_ENABLED, off, match=now)


async def kill(gate: Gate) -> None:
    off = AgentStatusSet(agent=AGENT, status="disabled")
    await gate.admin.call(endpoints.AGENT_STATUS, off)


async def revive(gate: Gate) -> None:
    on = AgentStatusSet(agent=AGENT, status="active")
    await gate.admin.call(endpoints.AGENT_STATUS, on)


async def revoke(gate: Gate) -> None:
    ask = KeyRevoke(agent=AGENT, member="looper", reason="test")
    await gate.admin.call(endpoints.KEY_REVOKE, ask)


async def remove(gate: Gate) -> None:
    ask = MemberRef(agent=AGENT, member="looper")
    await gate.admin.call(endpoints.MEMBER_REMOVE, ask)


async def without_member(gate: Gate) -> None:
    """The name is free for the next case."""
    with suppress(Refused):
        await remove(gate)


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(
    ("change", "back", "is_refused"),
    [
        (forbid, allow_again, lambda answer: "error" in answer.json),
        (kill, revive, lambda answer: answer.status == 403),
        (revoke, without_member, lambda answer: answer.status in (401, 429)),
        (remove, without_member, lambda answer: answer.status in (401, 429)),
    ],
)
async def test_no_request_that_starts_after_the_answer_is_decided_by_the_old_state(
    gate: Gate, change: Change, back: Change, is_refused: Callable[[Answer], bool]
) -> None:
    await looped(gate, await gate.member("looper"), lambda: change(gate), is_refused)
    await back(gate)
    await without_member(gate)


async def looped(
    gate: Gate,
    key: str,
    change: Callable[[], Awaitable[object]],
    is_refused: Callable[[Answer], bool],
) -> None:
    """16 clients call all the time while the change is made."""
    answered = asyncio.Event()
    allowed = asyncio.Event()
    late: list[Answer] = []

    async def loop(client: McpClient) -> None:
        refused_after = 0
        while refused_after < 3:
            is_late = answered.is_set()
            answer = await client.call("desk__echo", {"text": "x"})
            if is_late:
                refused_after += 1
                late.append(answer)
            elif b'"result"' in answer.body:
                allowed.set()

    clients = [await gate.client(key, Era.MODERN) for _ in range(CLIENTS)]
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(loop(client))
        await allowed.wait()
        await change()
        answered.set()
    assert len(late) == 3 * CLIENTS
    assert all(is_refused(answer) for answer in late)
