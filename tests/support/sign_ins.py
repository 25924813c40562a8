"""A member, a service that wants a sign-in, and the provider: everything real but the clock."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.support.oauth_server import AuthorizationServer, Mode, serve_oauth
from tests.support.protected import ProtectedUpstream, serve_protected
from tests.support.state import State, open_state
from tests.support.visitors import add_membership, add_visitor, session_of
from wicketd.domain.accounts import Visitor
from wicketd.domain.agents import Agent
from wicketd.domain.connections import Connection
from wicketd.domain.members import Member, MemberState
from wicketd.domain.oauth_flows import OAuthFlow
from wicketd.services.oauth_flows import Confirmation
from wicketd.storage import connections, oauth_flows, web_sessions


@dataclass
class SignInScene:
    """Agent `demo` with service `notes`, Ann in her browser, and the provider of the service."""

    state: State
    server: AuthorizationServer
    upstream: ProtectedUpstream
    agent: Agent
    ann: Visitor
    member: Member

    async def begin(self, visitor: Visitor | None = None) -> str:
        """The link of a new attempt."""
        return await self.state.flows.start(visitor or self.ann, self.agent.id, "notes")

    async def back(self, visitor: Visitor, query: bytes, service: str = "notes") -> Confirmation:
        """What a browser brought back is redeemed."""
        return await self.state.flows.callback(visitor, service, query)

    async def signed_in(self) -> Confirmation:
        """An attempt up to its confirmation page."""
        return await self.back(self.ann, await at_provider(await self.begin()))

    async def connected(self) -> Connection:
        """A whole sign-in, kept."""
        return await self.state.flows.confirm(self.ann, (await self.signed_in()).flow_id)

    async def other_browser(self, visitor: Visitor | None = None) -> Visitor:
        """Another portal session of the same account."""
        return await with_session(self.state, visitor or self.ann)

    async def other_member(self, email: str = "eve@example.test") -> Visitor:
        """Another member of the agent, signed in."""
        eve = await add_visitor(self.state, email)
        await add_membership(self.state, eve)
        return await with_session(self.state, eve)

    async def held(self) -> Connection | None:
        """Ann's connection, ciphertexts included."""
        query = connections.of_member_with_service(self.agent.id, self.member.id)
        rows = await self.state.db.all(query)
        return rows[0][0] if rows else None

    async def open_flows(self) -> list[OAuthFlow]:
        """Ann's open attempts, as facts."""
        now = self.state.clock.now_ms()
        query = oauth_flows.open_of_member(self.agent.id, self.member.id, now)
        return await self.state.db.all(query)

    async def reasons(self) -> list[str | None]:
        """Why callbacks were refused or tokens given up, as the audit has it."""
        rows = await self.state.rows()
        return [row.reason_code for row in rows if row.kind == "oauth.refused"]

    def file(self, **oauth: str) -> None:
        """Puts the connector file in force with an `oauth` table of these fields."""
        self.state.connectors["notes"] = self.upstream.connector(**oauth)
        self.state.files.put(self.state.catalogue())


async def with_session(state: State, visitor: Visitor) -> Visitor:
    """The visitor in a new browser whose portal session is stored."""
    session = session_of(state, visitor.account)
    insert = web_sessions.insert(session, hashlib.sha256(session.id.encode()).digest(), "k1")
    await state.db.write(lambda tx: tx.run(insert))
    return replace(visitor, session=session)


async def at_provider(url: str) -> bytes:
    """Consents at the provider; the query of its redirect, as the browser would bring it back."""
    async with (
        aiohttp.ClientSession() as browser,
        browser.get(url, allow_redirects=False) as answer,
    ):
        assert answer.status == 302, await answer.text()
        return urlsplit(answer.headers["Location"]).query.encode()


def asked(url: str) -> dict[str, str]:
    """The parameters of an authorization URL."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@asynccontextmanager
async def open_scene(
    directory: Path,
    mode: Mode = Mode.STRICT,
    member_state: MemberState = MemberState.APPROVED,
    **settings: Any,
) -> AsyncIterator[SignInScene]:
    """A scene in `directory`; `settings` go to `open_state`."""
    async with (
        serve_oauth(mode) as server,
        serve_protected(server) as upstream,
        open_state(directory, **settings) as state,
    ):
        state.connectors["notes"] = upstream.connector()
        state.files.put(state.catalogue())
        await state.agent()
        await state.service()
        ann = await with_session(state, await add_visitor(state))
        member = await add_membership(state, ann, member_state=member_state)
        agent = await state.agents.get("demo")
        yield SignInScene(state, server, upstream, agent, ann, member)


async def key_of(scene: SignInScene) -> str:
    """A key that Ann makes now: its text."""
    issued = await scene.state.keys.issue_own(scene.ann, scene.agent.id)
    return issued.text.reveal().decode()
