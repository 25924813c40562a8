"""P13: a member key works for exactly one agent; its verifier binds agent and member.

One person is a member of two agents with a key of each. The keys are used on the whole call path,
and the database is edited as somebody with the file could.

Removals tried by hand, each turned a test here red: the agent and the member in
`member_key.verifier`.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.support.calling import Calling
from tests.support.front_door import Door
from tests.support.fronts import modern, modern_headers
from tests.support.state import ADMIN
from tests.support.tampering import tamper
from tests.support.wired import Wired, open_wired
from wicketd.domain.calls import FrontRequest, Reply
from wicketd.proxy.calls import handle_call
from wicketd.services.baselines import Allow


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Wired]:
    """Agents `demo` (services open, notes) and `other` (none), bob a member of both."""
    async with open_wired(tmp_path) as made:
        await made.calling.state.agent("other")
        yield made


async def keys(wired: Wired) -> tuple[str, str]:
    """bob's key of `demo` and his key of `other`."""
    state = wired.calling.state
    await state.member("other", "bob")
    _, other = await state.keys.issue(ADMIN, "other", "bob")
    return await wired.key(), other


async def call(wired: Wired, key: str, tool: str = "open__look") -> Reply:
    """One call with a key on the whole path."""
    body = modern("tools/call", name=tool, arguments={})
    sent = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        **modern_headers("tools/call", tool),
    }
    headers = tuple((name.lower().encode(), value.encode()) for name, value in sent.items())
    request = FrontRequest("POST", headers, msgspec.json.encode(body), "127.0.0.1")
    return await handle_call(request, wired.ports, wired.others, wired.front)


def is_answered(reply: Reply) -> bool:
    return "result" in msgspec.json.decode(reply.body)


async def test_each_key_reaches_the_tools_of_its_own_agent_alone(wired: Wired) -> None:
    demo, other = await keys(wired)
    assert is_answered(await call(wired, demo))
    assert not is_answered(await call(wired, other))
    assert len(wired.forwarded) == 1


async def test_a_service_that_both_agents_have_is_each_ones_own(wired: Wired) -> None:
    demo, other = await keys(wired)
    state = wired.calling.state
    await state.services.enable(ADMIN, "other", "notes", allow=Allow.ALL)
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"demo-token")
    assert is_answered(await call(wired, demo, "notes__search_notes"))
    assert not is_answered(await call(wired, other, "notes__search_notes"))
    assert len(wired.forwarded) == 1


async def test_the_audit_names_the_agent_of_the_key(wired: Wired) -> None:
    _, other = await keys(wired)
    before = await wired.calling.state.recorded()
    await call(wired, other)
    rows = (await wired.calling.state.rows())[before:]
    agent = await wired.calling.state.agents.get("other")
    assert {row.agent_id for row in rows if row.kind.startswith("call.")} == {agent.id}


@pytest.mark.parametrize("column", ["agent_id", "member_id", "both", "key_id"])
async def test_an_edited_row_makes_the_key_unknown(wired: Wired, column: str) -> None:
    demo, _ = await keys(wired)
    state = wired.calling.state
    other = await state.agents.get("other")
    there = await state.members.get("other", "bob")
    mine = demo[-14:-6]
    change = {
        "agent_id": f"agent_id = '{other.id}'",
        "member_id": f"member_id = '{there.id}'",
        "both": f"agent_id = '{other.id}', member_id = '{there.id}'",
        "key_id": "key_id = 'AAAAAAAA'",
    }[column]
    await tamper(
        state.db,
        "DROP INDEX IF EXISTS ux_member_keys_member_id",
        f"UPDATE member_keys SET {change} WHERE key_id = '{mine}'",  # noqa: S608  # a tampering
    )
    wired.calling.callers.forget_key(mine)
    reply = await call(wired, demo)
    assert reply.status == 401
    assert wired.forwarded == []


async def test_a_verifier_copied_to_another_row_admits_nobody(wired: Wired) -> None:
    demo, other = await keys(wired)
    state = wired.calling.state
    one, two = demo[-14:-6], other[-14:-6]
    await tamper(
        state.db,
        "UPDATE member_keys SET verifier = (SELECT verifier FROM member_keys AS k "  # noqa: S608  # a tampering
        f"WHERE k.key_id = '{one}') WHERE key_id = '{two}'",
    )
    wired.calling.callers.forget_key(two)
    assert (await call(wired, other)).status == 401


async def test_a_key_is_no_other_members_within_its_agent(wired: Wired) -> None:
    calling: Calling = wired.calling
    await wired.key("bob")
    door = Door(calling.state)
    await calling.state.member("demo", "eve")
    eve = await calling.state.members.get("demo", "eve")
    text = wired.keys["bob"]
    assert await door.knock(text.encode())
    await tamper(
        calling.state.db,
        f"UPDATE member_keys SET member_id = '{eve.id}'",  # noqa: S608  # a tampering
    )
    door.callers.forget_key(text[-14:-6])
    assert not await door.knock(text.encode())
