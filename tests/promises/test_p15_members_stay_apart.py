"""P15: no member reaches what is another's, whatever the two do and in whichever order.

Two members of one agent use one service with tokens of their own, at the same time and through the
same ids, while each also tries the other's. The upstream tells from the token who called. The
admin's side (no endpoint shows a key or a token) is in tests/admin/test_secrets.py, the portal's in
tests/portal; tasks and cursors of later lists come with the methods that have them.

Removals tried by hand, each turned a test here red: the member in the look-up of legacy sessions
(`session_table.find`), the member in the MAC of tool sessions, the member in
`connection_rows.read`'s key.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from tests.support.daemon import RunningDaemon, running_daemon
from tests.support.mcp_client import McpClient, exchange, request
from tests.support.upstreams import Seen, Upstream, serve
from wicketd.domain.calls import Era

pytestmark = pytest.mark.asyncio(loop_scope="module")
SEED: Final = int(os.environ.get("WICKET_SEED", "20261124"))
STEPS: Final = 60
MEMBERS: Final = ("quinn", "ruby")
BREAKER: Final = (
    "permit (principal, action, resource);\n"
    'forbid (principal, action == NotesMCP::Action::"erase", resource);\n'
    "forbid (principal, action, resource) when { context.session.denials >= 3 };\n"
)
TOOLS: Final = [
    {"name": name, "inputSchema": {"type": "object", "properties": {"nonce": {"type": "string"}}}}
    for name in ("whoami", "erase")
]


@dataclass
class Member:
    """One of the two, with a client of each era."""

    name: str
    token: str
    key: str = ""
    legacy: McpClient = field(init=False)
    modern: McpClient = field(init=False)


@dataclass
class House:
    """The daemon, its upstream and the members."""

    daemon: RunningDaemon
    upstream: Upstream
    members: dict[str, Member]

    def other(self, member: Member) -> Member:
        """The one who must not notice."""
        return next(one for one in self.members.values() if one is not member)


async def _answer(seen: Seen, _: web.Request) -> web.StreamResponse:
    if seen.method != "POST" or "id" not in seen.body:
        return web.Response(status=405 if seen.method != "POST" else 202)
    token = seen.headers.get("Authorization", "").removeprefix("Bearer ")
    result: dict[str, Any] = {"tools": TOOLS}
    if seen.rpc == "initialize":
        result = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "notes", "version": "1"},
        }
    elif seen.rpc == "tools/call":
        said = {"owner": token.partition("-")[0], **seen.body["params"].get("arguments", {})}
        await asyncio.sleep(0)  # the two members' answers may overtake each other
        result = {"content": [{"type": "text", "text": msgspec.json.encode(said).decode()}]}
    body = {"jsonrpc": "2.0", "id": seen.body["id"], "result": result}
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    directory = tmp_path_factory.mktemp("p")
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serve(_answer))
        connector = (
            'key = "notes"\nname = "Notes"\n'
            'credential = { kind = "static", header = "Authorization", '
            'format = "Bearer {token}" }\n'
            f'[transport]\nkind = "streamable-http"\nurl = "{upstream.url}"\n'
            'insecure_http = true\nallow_networks = ["127.0.0.0/8"]\n'
        )
        daemon = await stack.enter_async_context(
            running_daemon(directory, connectors={"notes": connector})
        )
        members = {name: Member(name, f"{name}-c4n4ry-token") for name in MEMBERS}
        house = House(daemon, upstream, members)
        await asyncio.to_thread(_set_up, house)
        for member in members.values():
            member.legacy = await McpClient(daemon.port, member.key, Era.LEGACY).open()
            member.modern = McpClient(daemon.port, member.key, Era.MODERN)
        yield house


def _set_up(house: House) -> None:
    wicket = house.daemon.wicket
    wicket("agent", "create", "ops", "--name", "Operations")
    wicket("service", "enable", "ops", "notes")
    wicket("service", "discover", "ops", "notes", "--token-stdin", stdin="quinn-c4n4ry-token\n")
    wicket("policy", "create", "ops", "-", "--name", "All", stdin=BREAKER)
    for member in house.members.values():
        wicket("member", "add", "ops", member.name, "--local")
        member.key = wicket("key", "issue", "ops", member.name)["text"]
        words = ("connection", "set", "ops", member.name, "notes", "--token-stdin")
        wicket(*words, stdin=member.token + "\n")


async def _calls_as_itself(house: House, member: Member, rng: random.Random) -> None:
    nonce = f"{member.name}-{rng.getrandbits(64):x}"
    client = rng.choice([member.legacy, member.modern])
    answer = await client.call("notes__whoami", {"nonce": nonce})
    said = msgspec.json.decode(answer.result["content"][0]["text"])
    assert said == {"owner": member.name, "nonce": nonce}
    assert house.other(member).name.encode() not in answer.body


async def _lists_without_a_trace_of_the_other(
    house: House, member: Member, rng: random.Random
) -> None:
    answer = await rng.choice([member.legacy, member.modern]).ask("tools/list")
    names = [tool["name"] for tool in answer.result["tools"]]
    assert "notes__whoami" in names
    assert house.other(member).name.encode() not in answer.body


async def _finds_no_session_of_the_other(house: House, member: Member, rng: random.Random) -> None:
    thief = McpClient(house.daemon.port, member.key, Era.LEGACY)
    thief.session = house.other(member).legacy.session
    method = rng.choice(["POST", "GET", "DELETE"])
    if method == "POST":
        assert (await thief.call("notes__whoami", {"nonce": "stolen"})).status == 404
        return
    headers = thief.headers("", None, {"Last-Event-ID": "AAAAAAAA.1"})
    ask = request(b"", headers, method=method)
    assert (await exchange(house.daemon.port, ask)).status == 404


async def _cancels_no_call_of_the_other(house: House, member: Member, rng: random.Random) -> None:
    victim = house.other(member)
    nonce = f"{victim.name}-{rng.getrandbits(64):x}"
    running = asyncio.ensure_future(victim.legacy.call("notes__whoami", {"nonce": nonce}))
    note = msgspec.json.encode(
        {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": victim.legacy._last_id},
        }
    )
    await member.legacy.post(note, "notifications/cancelled")
    answer = await running
    assert msgspec.json.decode(answer.result["content"][0]["text"])["nonce"] == nonce


ACTS: Final = (
    _calls_as_itself,
    _calls_as_itself,
    _lists_without_a_trace_of_the_other,
    _finds_no_session_of_the_other,
    _cancels_no_call_of_the_other,
)


@pytest.mark.requirement("P15", "CVE-2026-52870", "tenant-mix-up")
async def test_two_members_never_meet_in_any_order_of_their_acts(house: House) -> None:
    rng = random.Random(SEED)  # noqa: S311  # which act comes next, no secret
    print(f"WICKET_SEED={SEED}")
    for _ in range(STEPS):
        members = list(house.members.values())
        rng.shuffle(members)
        await asyncio.gather(*(rng.choice(ACTS)(house, member, rng) for member in members))


@pytest.mark.requirement("P15")
async def test_a_conversation_id_that_two_members_claim_is_two_sessions(house: House) -> None:
    quinn, ruby = (house.members[name] for name in MEMBERS)
    for member in (quinn, ruby):
        member.modern.conversation = "shared-conversation"
    try:
        for _ in range(3):
            assert "Authorization denied" in str((await quinn.modern.call("notes__erase")).error)
        assert "Authorization denied" in str((await quinn.modern.call("notes__whoami")).error)
        assert (await ruby.modern.call("notes__whoami", {"nonce": "n"})).result
    finally:
        for member in (quinn, ruby):
            member.modern.conversation = None


@pytest.mark.requirement("P15")
async def test_what_an_admin_does_to_one_member_leaves_the_other_as_it_was(house: House) -> None:
    quinn, ruby = (house.members[name] for name in MEMBERS)
    wicket = house.daemon.wicket
    before = len(house.upstream.seen)
    await asyncio.to_thread(wicket, "connection", "discard", "ops", "quinn", "notes", "--yes")
    answer = await quinn.modern.call("notes__whoami", {"nonce": "gone"})
    assert "is not connected" in answer.error["message"]
    assert len(house.upstream.seen) == before
    answer = await ruby.modern.call("notes__whoami", {"nonce": "still"})
    assert msgspec.json.decode(answer.result["content"][0]["text"])["owner"] == "ruby"
