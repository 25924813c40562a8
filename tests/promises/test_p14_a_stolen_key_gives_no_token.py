"""P14: a stolen key gives only what policies permit, never the upstream token, and goes nowhere.

Canaries both ways over a real daemon: the member's upstream token is looked for in everything that
a holder of the key, or of the admin socket, can see (results, headers, errors, streams, logs, the
whole directory), the key and every header of the client in everything that the upstream sees. The
upstream says back what it was sent wherever it refuses.

Removals tried by hand, each turned a test here red: the rule that 401 and 403 answers are not read
and not passed on (`exchange._SILENT` and the branches of `answers.refusal_of`), the decision in
`calls._decided`, the encryption of a deposit in `tokens.TokenBox`.
"""

import asyncio
import base64
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.support.gate import BAD_TOKEN, TOKEN, Gate, open_gate
from tests.support.mcp_client import Answer, McpClient
from tests.support.upstreams import Seen
from wicketd.domain.calls import Era

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.requirement("P14"),
]
ERAS: Final = (Era.LEGACY, Era.MODERN)
TOOLS: Final = (
    "echo", "garbage", "flood", "broken", "refuses", "fails", "redirects", "scoped", "big",
)  # fmt: skip
HEADERS: Final = (
    "Cookie", "X-Api-Key", "Proxy-Authorization", "X-Auth-Token", "X-Forwarded-Authorization",
    "X-Original-Authorization", "Forwarded", "X-Amz-Security-Token", "X-Custom",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with open_gate(tmp_path_factory.mktemp("p14")) as gate:
        yield gate


def forms(secret: str) -> list[bytes]:
    """How a secret may be written down."""
    raw = secret.encode()
    return [
        raw,
        base64.b64encode(raw).rstrip(b"=")[:-1],
        base64.urlsafe_b64encode(raw).rstrip(b"=")[:-1],
        raw.hex().encode(),
        urllib.parse.quote(secret, safe="").encode(),
    ]


def is_in(secret: str, text: bytes) -> bool:
    """Whether any form of it is there."""
    return any(form in text for form in forms(secret))


def shown(answer: Answer) -> bytes:
    """Everything of an answer that a client sees."""
    return str((answer.status, answer.headers)).encode() + answer.body


async def every_way(gate: Gate, client: McpClient) -> AsyncIterator[tuple[str, Answer]]:
    """What a holder of the key can ask, and how the upstream can go wrong."""
    yield "tools/list", await client.ask("tools/list")
    for tool in TOOLS:
        yield tool, await client.call(f"vault__{tool}", {"text": "x"} if tool == "echo" else {})
    yield "wicket__status", await client.call("wicket__status", {})
    yield "unknown", await client.call("vault__no_such_tool", {})
    yield "secret", await client.call("vault__secret", {})


def sent(gate: Gate, since: int) -> Iterator[Seen]:
    """What the upstream has seen since."""
    yield from gate.upstream.seen[since:]


@pytest.mark.parametrize("era", ERAS)
async def test_no_answer_shows_the_upstream_token(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.connected(f"thief-{era.value}"), era)
    reached = gate.forwarded
    async for name, answer in every_way(gate, client):
        assert not is_in(TOKEN, shown(answer)), name
    tokens = {seen.headers.get("Authorization") for seen in sent(gate, reached)}
    assert tokens - {None} == {f"Bearer {TOKEN}"}, "the upstream was not asked with the token"


@pytest.mark.parametrize("era", ERAS)
async def test_a_refused_token_is_not_said_back(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.connected(f"refused-{era.value}", BAD_TOKEN), era)
    answer = await client.call("vault__echo", {"text": "x"})
    assert answer.error["data"]["wicket"]["reason"] == "needs_reconnect"
    assert not is_in(BAD_TOKEN, shown(answer))


@pytest.mark.parametrize("era", ERAS)
async def test_the_key_and_the_clients_headers_go_no_further(gate: Gate, era: Era) -> None:
    client = await gate.client(await gate.connected(f"forward-{era.value}"), era)
    changes = {name: f"c4n4ry-client-{number}" for number, name in enumerate(HEADERS)}
    reached = gate.forwarded
    for tool in TOOLS:
        await client.call(f"vault__{tool}", {}, headers=dict(changes))
    await client.call("desk__echo", {"text": "x"}, headers=dict(changes))
    seen = list(sent(gate, reached))
    assert seen
    for request in seen:
        text = f"{request.headers} {request.body}"
        assert client.key not in text
        assert "c4n4ry-client" not in text
        assert "Cookie" not in request.headers
        assert request.headers.get("Authorization") in {None, f"Bearer {TOKEN}"}


async def test_a_stolen_key_opens_only_what_policies_permit(gate: Gate) -> None:
    client = await gate.client(await gate.connected("narrow"), Era.MODERN)
    assert (await client.call("vault__echo", {"text": "x"})).result
    reached = gate.forwarded
    for service, tool in (("desk", "secret"), ("desk", "erase"), ("desk", "no_such_tool")):
        answer = await client.call(f"{service}__{tool}", {})
        assert answer.error["data"]["wicket"]["reason"] == "denied"
    assert [seen for seen in sent(gate, reached) if seen.rpc == "tools/call"] == []
    names = {tool["name"] for tool in (await client.ask("tools/list")).result["tools"]}
    assert not {"desk__secret", "desk__erase"} & names


async def test_no_file_of_the_daemon_holds_the_token_or_the_key(gate: Gate) -> None:
    key = await gate.connected("at-rest")
    client = await gate.client(key, Era.MODERN)
    async for _ in every_way(gate, client):
        pass
    files = await asyncio.to_thread(_files, gate)
    assert any(name.endswith("wicketd.log") for name in files)
    for name, text in files.items():
        assert not is_in(TOKEN, text), name
        assert not is_in(key, text), name


async def test_no_stream_shows_the_token(gate: Gate) -> None:
    client = await gate.client(await gate.connected("listener"), Era.LEGACY)
    headers = {"Accept": "text/event-stream"}
    answers = await asyncio.gather(
        *(client.call("vault__broken", {}, headers=headers) for _ in range(3)),
        *(client.call("vault__echo", {"text": "x"}) for _ in range(3)),
    )
    assert not [one for one in answers if is_in(TOKEN, shown(one))]


async def test_no_admin_answer_shows_the_token_or_the_key(gate: Gate) -> None:
    key = await gate.connected("listed")
    client = await gate.client(key, Era.MODERN)
    await client.call("vault__echo", {"text": "x"})
    entries: list[Any] = list(await gate.audit())
    text = repr(entries).encode()
    assert not is_in(TOKEN, text)
    assert not is_in(key, text)


def _files(gate: Gate) -> dict[str, bytes]:
    found = gate.daemon.directory.rglob("*")
    return {str(file): file.read_bytes() for file in found if file.is_file()}
