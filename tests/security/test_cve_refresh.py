"""Inputs from incidents that concern refreshes and tokens of providers (security spec, 14)."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.oauth_connected import Connected, open_connected
from tests.support.oauth_server import Mode, serve_oauth
from wicketd.domain.connections import ConnectionState
from wicketd.domain.ids import AgentId, ConnectionId, MemberId, ServiceId
from wicketd.domain.ports import Query
from wicketd.services.refresh_flight import REFUSED
from wicketd.storage import connections, refresh_intents
from wicketd.vault import member_key

STORAGE = Path(connections.__file__).parent
SERVER_METADATA = "/.well-known/oauth-authorization-server"


async def old(bob: Connected) -> None:
    """Expired."""
    await bob.token()
    bob.grow_old()


@pytest.mark.requirement("refresh-to-a-new-issuer")
async def test_metadata_that_was_swapped_gets_no_refresh_token(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob, serve_oauth(Mode.HOSTILE) as thief:
        await old(bob)
        before = await bob.row()
        for swapped in (
            {**bob.server.document(), "token_endpoint": f"{thief.url}/token"},
            {**bob.server.document(), "issuer": thief.issuer},
            thief.document(),
        ):
            bob.server.documents[SERVER_METADATA] = web.json_response(swapped)
            assert await bob.token() is None
            bob.state.clock.pass_s(60)
        assert (thief.token_requests, bob.server.token_requests) == ([], [])
        assert await bob.last_error() == REFUSED
        assert await bob.row() == before
        del bob.server.documents[SERVER_METADATA]
        assert await bob.token() is not None
        assert await bob.last_error() is None


@pytest.mark.requirement("refresh-to-a-new-issuer")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_token_endpoint_that_points_elsewhere_is_not_followed(
    tmp_path: Path, status: int
) -> None:
    async with open_connected(tmp_path) as bob, serve_oauth(Mode.HOSTILE) as thief:
        await old(bob)
        headers = {"Location": f"{thief.url}/token"}
        bob.server.documents["/token"] = web.Response(status=status, headers=headers)
        assert await bob.token() is None
        assert thief.requests == []


@pytest.mark.requirement("refresh-to-a-new-issuer")
async def test_an_issuer_that_was_edited_in_the_database_opens_nothing(tmp_path: Path) -> None:
    async with open_connected(tmp_path) as bob, serve_oauth(Mode.HOSTILE) as thief:
        await old(bob)
        await bob.edit(issuer=thief.issuer)
        assert await bob.token() is None
        row = await bob.row()
        assert row.state is ConnectionState.NEEDS_RECONNECT
        assert (thief.requests, bob.server.token_requests) == ([], [])


def part(value: Any) -> str:
    """A part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


JWK = {"kty": "oct", "k": "AAAA"}
JWTS = (
    f"{part({'alg': 'none'})}.{part({'sub': 'root'})}.",
    f"{part({'alg': 'HS256', 'jwk': JWK})}.{part({'sub': 'eve', 'agent': 'demo'})}.AAAA",
    f"{part({'alg': 'RS256', 'jku': 'http://127.0.0.1:1/'})}.{part({'iss': 'x'})}.AAAA",
)


@pytest.mark.requirement("CVE-2026-27962")
@pytest.mark.parametrize("jwt", JWTS)
async def test_a_token_that_is_a_jwt_is_as_opaque_as_any(tmp_path: Path, jwt: str) -> None:
    async with open_connected(tmp_path) as bob:
        await old(bob)
        tokens = {"access_token": jwt, "refresh_token": jwt, "token_type": "Bearer"}
        bob.server.documents["/token"] = web.json_response({**tokens, "id_token": jwt})
        assert await bob.token() == jwt
        row = await bob.row()
        assert (row.account_label, row.issuer) == ("bob", bob.server.issuer)
        assert row.access_expires_at is None


@pytest.mark.requirement("CVE-2026-27962")
@pytest.mark.parametrize("jwt", JWTS)
def test_a_jwt_is_no_member_key(jwt: str) -> None:
    assert member_key.parse(jwt) is None


@pytest.mark.requirement("CVE-2026-27962")
def test_nothing_of_ours_can_read_a_jwt() -> None:
    package = STORAGE.parent
    sources = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    importing = re.compile(
        r"^\s*(?:from|import)\s+(?:jwt|jose|joserfc|authlib|jwcrypto)\b", re.MULTILINE
    )
    assert [path for path, text in sources.items() if importing.search(text)] == []


@pytest.mark.requirement("any-valid-token")
async def test_every_query_that_gives_a_ciphertext_names_agent_and_member(
    tmp_path: Path,
) -> None:
    async with open_connected(tmp_path) as bob:
        row = await bob.row()
        queries: list[Query[Any]] = [
            connections.of_member_service(row.agent_id, row.member_id, row.service_id),
            connections.of_member_with_service(row.agent_id, row.member_id),
            refresh_intents.of_connection(row),
        ]
        for query in queries:
            assert row.agent_id in query.params
            assert row.member_id in query.params
            where = query.sql.partition(" WHERE ")[2]
            assert "agent_id = ?" in where
            assert "member_id = ?" in where


@pytest.mark.requirement("any-valid-token")
def test_no_other_statement_of_the_store_reads_a_token() -> None:
    reading = re.compile(r"\bSELECT\b[^\"]*\b(?:sealed_ct|pending_ct)\b")
    found = {
        path.name
        for path in STORAGE.glob("*.py")
        if reading.search(path.read_text(encoding="utf-8").replace("_WHOLE", "sealed_ct"))
    }
    assert found <= {"connections.py", "kid_rows.py", "rewraps.py"}


@pytest.mark.requirement("any-valid-token")
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
async def test_no_mixture_of_ids_finds_anothers_tokens(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    async with open_connected(tmp_path_factory.mktemp("mix")) as bob:
        row = await bob.row()
        names = st.sampled_from([row.agent_id, row.member_id, row.service_id, row.id, "", "%"])
        agent, member, service = (data.draw(names) for _ in range(3))
        is_own = (agent, member, service) == (row.agent_id, row.member_id, row.service_id)
        query = connections.of_member_service(AgentId(agent), MemberId(member), ServiceId(service))
        found = await bob.state.db.one(query)
        assert (found is not None) is is_own
        listed = connections.of_member_with_service(agent, member)
        assert bool(await bob.state.db.all(listed)) is (
            (agent, member) == (row.agent_id, row.member_id)
        )
        strange = ConnectionId(data.draw(names))
        changed = connections.touch_used(AgentId(agent), MemberId(member), strange, 0)
        touched = await bob.state.db.write(lambda tx: tx.run(changed))
        own = (agent, member, strange) == (row.agent_id, row.member_id, row.id)
        assert touched == own
