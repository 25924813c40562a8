"""What an upstream's 401 and 403 do to a call: one renewal, one more try, a wider sign-in.

Source: protocol spec, 4.4; the provider and the upstream are real servers.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.support.oauth_connected import MAIL, OwnProvider, Place, deposit
from tests.support.oauth_server import Mode, Scripted, serve_oauth
from tests.support.state import ADMIN
from tests.support.upstreams import Seen
from tests.support.wired import Wired, behind, open_wired, said
from wicketd.domain.connections import Connection, ConnectionState
from wicketd.services.baselines import Allow
from wicketd.services.breaking import INVALID_GRANT, REJECTED
from wicketd.services.tokens import TokenRecord
from wicketd.storage import connections, members, services

CALL = "mail__search_mail"


@dataclass
class Scene:
    """Bob's call path to `mail`, which admits the provider's tokens."""

    wired: Wired
    provider: OwnProvider
    refuses_all: bool = False
    wants: str | None = None
    """Scopes that the upstream says it wants."""
    seen: list[str] = field(default_factory=list)

    def answer(self, seen: Seen) -> web.StreamResponse:
        """One call at the upstream."""
        token = seen.headers.get("Authorization", "").removeprefix("Bearer ")
        self.seen.append(token)
        if self.refuses_all or self.provider.owner(token) is None:
            return web.Response(status=401, text=f"no: {token}")
        if self.wants is not None:
            challenge = f'Bearer error="insufficient_scope", scope="{self.wants}"'
            return web.Response(status=403, headers={"WWW-Authenticate": challenge})
        return said(seen, {"content": [{"type": "text", "text": "found"}]})

    async def call(self) -> Any:
        """The decoded answer to one call."""
        return await self.wired.call(CALL)

    async def reason(self) -> str:
        """Why a call fails."""
        return str((await self.call())["error"]["data"]["wicket"]["reason"])

    async def row(self) -> Connection:
        """The connection."""
        state = self.wired.calling.state
        agent, who = await state.agents.get("demo"), await state.members.get("demo", "bob")
        rows = await state.db.all(connections.of_member_with_service(agent.id, who.id))
        return next(row for row, service in rows if service == "mail")

    async def sign_in_again(self) -> None:
        """The member gave the scopes that were asked for."""
        state, cleared = self.wired.calling.state, replace(await self.row(), missing_scopes=None)
        await state.db.write(lambda tx: tx.run(connections.put(cleared)))
        state.desk.rows.forget()

    async def outcome(self) -> Any:
        """The newest outcome row."""
        rows = await self.wired.calling.state.rows()
        newest = next(row for row in rows[::-1] if row.kind == "call.outcome")
        return msgspec.json.decode(newest.body)


@asynccontextmanager
async def scene(directory: Path) -> AsyncIterator[Scene]:
    """Everything, with Bob signed in."""
    async with serve_oauth(Mode.ROTATING) as server, open_wired(directory) as wired:
        state, provider = wired.calling.state, OwnProvider(server)
        made = Scene(wired, provider)
        wired.server.answers["search_mail"] = made.answer
        state.connectors["mail"] = text = behind(MAIL, wired.upstream.url)
        await state.services.reload(ADMIN)
        await state.services.enable(ADMIN, "demo", "mail", allow=Allow.ALL)
        await wired.key()
        agent = await state.agents.get("demo")
        who = await state.db.one(members.by_id(agent.id, "bob"))
        service = await state.db.one(services.by_key(agent.id, "mail"))
        assert who is not None
        assert service is not None
        record = await provider.sign_in("bob", wired.upstream.url)
        place = Place(agent.id, who.id, service.id, "mail", text)
        await deposit(state.desk, state.box, place, replace_times(record, state.clock.now_ms()))
        yield made


def replace_times(record: TokenRecord, at_ms: int) -> TokenRecord:
    """The record as of the scripted clock."""
    return msgspec.structs.replace(record, obtained_at=at_ms, expires_at=at_ms + 3_600_000)


async def test_a_refused_token_is_renewed_once_and_the_call_goes_through(tmp_path: Path) -> None:
    async with scene(tmp_path) as bob:
        assert (await bob.call())["result"]
        bob.provider.server.expire_access_tokens()
        before = (await bob.row()).generation
        assert (await bob.call())["result"]["content"][0]["text"] == "found"
        assert len(bob.provider.server.refreshes) == 1
        assert len(bob.seen) == 3
        assert (await bob.row()).generation == before + 1
        assert (await bob.outcome())["generation"] == before + 1


async def test_calls_that_are_refused_together_renew_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as bob:
        assert (await bob.call())["result"]
        bob.provider.server.expire_access_tokens()
        answers = await asyncio.gather(*(bob.call() for _ in range(12)))
        assert all("result" in answer for answer in answers)
        assert len(bob.provider.server.refreshes) == 1
        assert bob.provider.server.revoked_grants == []


async def test_an_upstream_that_refuses_fresh_tokens_costs_nobody_theirs(tmp_path: Path) -> None:
    async with scene(tmp_path) as bob:
        bob.refuses_all = True
        for _ in range(5):
            assert await bob.reason() == "needs_reconnect"
        row = await bob.row()
        assert (row.state, row.error) == (ConnectionState.SEALED, REJECTED)
        assert row.sealed_ct is not None
        assert len(bob.provider.server.refreshes) == 1
        assert (await bob.outcome())["outcome"] == "no_credentials"
        bob.refuses_all = False
        assert (await bob.call())["result"]
        assert (await bob.row()).error is None


async def test_the_body_of_a_refusal_reaches_nobody(tmp_path: Path) -> None:
    async with scene(tmp_path) as bob:
        bob.refuses_all = True
        answer = str(await bob.call())
        assert not [token for token in bob.seen if token in answer]


async def test_a_renewal_that_ends_the_connection_says_so(tmp_path: Path) -> None:
    async with scene(tmp_path) as bob:
        assert (await bob.call())["result"]
        bob.provider.server.expire_access_tokens()
        bob.provider.server.scripted.append(Scripted(400, b'{"error":"invalid_grant"}'))
        assert await bob.reason() == "needs_reconnect"
        assert (await bob.row()).error == INVALID_GRANT


async def test_a_renewal_that_cannot_be_had_is_an_unreachable_service(tmp_path: Path) -> None:
    async with scene(tmp_path) as bob:
        assert (await bob.call())["result"]
        bob.provider.server.expire_access_tokens()
        bob.provider.server.scripted.append(Scripted(503))
        assert await bob.reason() == "unreachable"
        assert (await bob.row()).sealed_ct is not None


async def test_a_static_token_that_is_refused_is_kept_and_shown_as_rejected(
    tmp_path: Path,
) -> None:
    async with open_wired(tmp_path) as wired:
        await wired.key()
        state = wired.calling.state
        await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"t0ken")
        wired.server.answers["search_notes"] = lambda _seen: web.Response(status=401)
        answer = await wired.call("notes__search_notes")
        assert answer["error"]["data"]["wicket"]["reason"] == "needs_reconnect"
        row = await state.held()
        assert row is not None
        assert (row.state, row.error) == (ConnectionState.SEALED, REJECTED)
        assert row.sealed_ct is not None
        assert len(wired.forwarded) == 1


async def test_scopes_that_are_lacking_are_kept_for_the_next_sign_in(tmp_path: Path) -> None:
    async with scene(tmp_path) as bob:
        bob.wants = "mail.send mail.read"
        answer = await bob.call()
        assert answer["error"]["data"]["wicket"]["reason"] == "scopes_missing"
        assert "(mail.send, mail.read)" in answer["error"]["message"]
        row = await bob.row()
        assert (row.state, row.missing_scopes) == (ConnectionState.SEALED, "mail.send mail.read")
        assert len(bob.seen) == 1
        assert bob.provider.server.refreshes == []
        bob.wants = "mail.delete"
        await bob.call()
        assert (await bob.row()).missing_scopes == "mail.send mail.read mail.delete"


async def test_the_fourth_step_up_of_a_day_is_not_asked_for(tmp_path: Path) -> None:
    async with scene(tmp_path) as bob:
        for number in range(4):
            bob.wants = f"scope-{number}"
            expected = "scopes_missing" if number < 3 else "unreachable"
            assert await bob.reason() == expected
            assert await bob.reason() == expected
            await bob.sign_in_again()


@pytest.mark.parametrize("challenge", ["", 'Bearer error="invalid_token"', "Bearer"])
async def test_another_403_is_an_unreachable_service(tmp_path: Path, challenge: str) -> None:
    async with scene(tmp_path) as bob:
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        bob.wired.server.answers["search_mail"] = lambda _seen: web.Response(
            status=403, headers=headers
        )
        assert await bob.reason() == "unreachable"
        assert (await bob.row()).missing_scopes is None
