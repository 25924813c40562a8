"""Our side as an MCP client of the upstreams. Counterpart of `runner`.

One lane per (agent, member, service), shared by that member's calls. Each call brings its own
credential, which is compared with its destination before anything is written.
Source: protocol spec, section 4.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeAlias

from wicketd.connectors.catalogue import destination
from wicketd.domain.calls import Answer, Call, Caller, Failure, RefusalKind
from wicketd.domain.catalogue import (
    Connector,
    HttpTransport,
    Listing,
    StdioTransport,
    Tool,
)
from wicketd.domain.connections import Credential
from wicketd.domain.errors import Malformed, SignInRejected, TimedOut, Unreachable, Upstream
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.ports import Clock, Front, Spawn
from wicketd.net.client import Guard, GuardedClient
from wicketd.proxy import failures, outbound, relaying
from wicketd.proxy.conversations import listen_to_all
from wicketd.proxy.eras import Eras, ServicePlace, VerdictStore
from wicketd.proxy.errors import METHOD_NOT_FOUND
from wicketd.proxy.exchange import Exchanges
from wicketd.proxy.headers import ParamHeader, declared_params, param_headers
from wicketd.proxy.lanes import SERVICE_SEATS, Job, Lane, Lanes, Route
from wicketd.proxy.methods import METHODS
from wicketd.proxy.outbound import Wanted
from wicketd.proxy.pages import Pages
from wicketd.proxy.passing import passed
from wicketd.proxy.runner import Runner
from wicketd.proxy.signals import Signals
from wicketd.proxy.stdio import Owner, Supervisor
from wicketd.proxy.upstream_events import EraExpired

LIST_DEADLINE_S: Final = 30.0
"""Late answers are worth waiting for: who shows a list has a shorter deadline of its own."""
_PARAMS_KEPT: Final = 4096
_PASSING: Final = frozenset({404, 429})
"""Refusals of a channel that may be different the next time."""
_LISTS: Final = MappingProxyType(
    {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
)

Recheck: TypeAlias = Callable[[Call, JsonObject], Awaitable[Tool | None]]
"""Gets the definition that the upstream lists now; gives the tool if the decided call may still go
out as it is, None if the change has to be reviewed first."""


class UpstreamClient:
    """Sends decided calls and lists tools. Without `recheck` a header mismatch is final.

    Without `pipes` no server over stdio is reached.
    """

    def __init__(
        self,
        http: GuardedClient,
        verdicts: VerdictStore,
        clock: Clock,
        spawn: Spawn,
        recheck: Recheck | None = None,
        pipes: Supervisor | None = None,
    ) -> None:
        self._http = http
        self._pipes = pipes
        self._eras = Eras(verdicts, clock)
        self._clock = clock
        self._recheck = recheck
        self._runner = Runner(Exchanges(spawn), self._eras, clock, spawn)
        self._routes: dict[str, Route] = {}
        self._lanes = Lanes(clock)
        self._params: dict[str, tuple[ParamHeader, ...]] = {}

    async def send(
        self,
        call: Call,
        credential: Credential,
        front: Front,
        connector: Connector,
        tool: Tool | None,
    ) -> Answer | Failure:
        """Forwards a decided call and gives the upstream's one answer, bare, or why there is none.

        `tool`: as stored, for the headers that mirror its arguments; None for other methods.
        Progress and logs of the call go to `front` meanwhile.
        """
        began_s = self._clock.monotonic_s()
        relay = () if _is_shared(connector) else connector.relay
        capabilities = relaying.declared(call.capabilities, relay, call.protocol_version)
        if call.method == outbound.SUBSCRIBE:
            capabilities = {}  # into the conversation that has the channel
        caller = call.caller
        try:
            lane = self._lane(caller.agent.id, caller.member.id, connector, capabilities)
            route = self._route(connector, lane)
        except Upstream as error:
            return failures.of_error(call.service, error, connector.limits.timeout_s)
        wanted = Wanted(
            id=lane.next_id(),
            method=call.method,
            params=outbound.call_params(call),
            name=call.name if METHODS[call.method].name_param is not None else None,
            param_headers=self._mirrored(tool, call.arguments),
            log_level=call.log_level if "logging" in connector.relay else None,
            capabilities=capabilities,
            retry=outbound.call_retry(call) if relaying.INPUTS & set(connector.relay) else {},
        )
        job = Job(wanted, route, credential, front, began_s)
        if self._recheck is not None and tool is not None:
            job.relist = lambda: self._rebuild(call, job)
        outcome = await self._runner.run(lane, job)
        if isinstance(outcome, Answer):
            return passed(outcome, call, capabilities)
        return replace(outcome, upstream_ms=int((self._clock.monotonic_s() - began_s) * 1000))

    async def list_tools(
        self,
        connector: Connector,
        agent_id: AgentId,
        credential: Credential,
        *,
        member_id: MemberId | None = None,
        deadline_s: float = LIST_DEADLINE_S,
    ) -> list[JsonObject]:
        """Lists a server's tools, all pages, as it sent them; unusable ones are left out.

        `member_id` None: the daemon's own discovery. `credential` with header None: none is sent.

        Raises:
            SignInRejected: the server wants a credential, or refuses this one.
            TimedOut: not done within `deadline_s`.
            Unreachable: no connection, or an answer of the 403, 429 or 5xx kind.
            Malformed: the list breaks the protocol or a cap.
        """
        return await self.list_items(
            connector, agent_id, credential, member_id=member_id, deadline_s=deadline_s
        )

    async def list_items(
        self,
        connector: Connector,
        agent_id: AgentId,
        credential: Credential,
        *,
        listing: Listing = Listing.TOOLS,
        member_id: MemberId | None = None,
        deadline_s: float = LIST_DEADLINE_S,
    ) -> list[JsonObject]:
        """As `list_tools` for any list; a server without prompts or resources has none of them.

        Raises:
            SignInRejected, TimedOut, Unreachable, Malformed: as `list_tools`.
        """
        lane = self._lane(agent_id, member_id, connector)
        route = self._route(connector, lane)
        try:
            async with asyncio.timeout(deadline_s):
                return await self._pages(lane, route, credential, listing).all()
        except TimeoutError as error:
            raise TimedOut(f"{connector.name} did not answer {listing.method} in time.") from error

    def hear(self, signals: Signals) -> None:
        """From now on `signals` is told of changed lists and resources."""
        self._runner.signals = signals

    def is_modern(self, agent_id: AgentId, connector: Connector) -> bool:
        """Whether the upstream is known to speak the modern era."""
        place = ServicePlace(agent_id, connector.key, connector.sha256)
        return self._eras.is_modern(place)

    async def listen(
        self, caller: Caller, connector: Connector, credential: Credential, uris: frozenset[str]
    ) -> bool:
        """Keeps channels for news open until they end; gives whether to open them again.

        `uris`: the resources that they are to tell of.
        """
        is_modern = self.is_modern(caller.agent.id, connector)
        if isinstance(connector.transport, StdioTransport) and not (is_modern and uris):
            return False  # it says what it has to say while it runs; nothing is started for it
        plain = self._lane(caller.agent.id, caller.member.id, connector)

        async def listen(lane: Lane) -> bool:
            wished = uris if lane is plain else frozenset[str]()
            return await self._listen(lane, connector, credential, wished)

        return await listen_to_all(self._lanes, plain, listen)

    async def _listen(
        self, lane: Lane, connector: Connector, credential: Credential, uris: frozenset[str]
    ) -> bool:
        named: list[Json] = [*sorted(uris)]
        wished: JsonObject = {**_LISTS, "resourceSubscriptions": named}
        wanted = Wanted(lane.next_id(), outbound.LISTEN, {"notifications": wished})
        try:
            route = self._route(connector, lane)
        except Upstream:
            return False
        job = Job(wanted, route, credential, None, self._clock.monotonic_s(), uris=uris)
        outcome = await self._runner.run(lane, job)
        if isinstance(outcome, Answer):
            return outcome.error is None
        is_refused = outcome.status is not None and 400 <= outcome.status < 500
        return not is_refused or outcome.status in _PASSING

    async def release(
        self, caller: Caller, connector: Connector, credential: Credential, uris: frozenset[str]
    ) -> None:
        """Tells a legacy upstream that of its subscriptions only `uris` are wanted still."""
        if _is_shared(connector):
            return  # another member may want to hear of them
        lane = self._lane(caller.agent.id, caller.member.id, connector)
        with suppress(Upstream):
            route = self._route(connector, lane)
            for uri in lane.subscribed - uris:
                wanted = Wanted(lane.next_id(), outbound.UNSUBSCRIBE, {"uri": uri})
                began_s = self._clock.monotonic_s()
                await self._runner.run(lane, Job(wanted, route, credential, None, began_s))

    def forget(
        self,
        agent_id: AgentId | None = None,
        member_id: MemberId | None = None,
        service: str | None = None,
    ) -> None:
        """Drops the sessions of an agent, a member or a service, and kills their processes."""

        def is_meant(whose: Lane | Owner) -> bool:
            place = whose.place
            is_there = agent_id in {None, place.agent_id} and service in {None, place.service}
            return is_there and member_id in {None, whose.member_id}

        if self._pipes is not None:
            self._pipes.end(is_meant)
        self._lanes.end(is_meant)

    def forget_credentials(self, agent_id: AgentId | None, member_id: MemberId | None) -> None:
        """Kills the processes that hold a credential of the member; None: of all of them."""
        if self._pipes is not None:
            self._pipes.end(
                lambda owner: (
                    agent_id in {None, owner.place.agent_id}
                    and member_id in {None, owner.member_id}
                ),
                with_secret=True,
            )

    def servers(self) -> Mapping[tuple[AgentId, str], int]:
        """Servers over pipes that are alive, by (agent id, service)."""
        return {} if self._pipes is None else self._pipes.servers()

    def sweep(self) -> None:
        """Ends processes that were idle for long."""
        if self._pipes is not None:
            self._pipes.sweep()

    async def settle(self) -> None:
        """Ends every process, in order: after the last answer, while tasks still run."""
        if self._pipes is not None:
            await self._pipes.close()

    async def close(self) -> None:
        """Closes every connection and ends every process."""
        self._lanes.end(lambda _: True)
        if self._pipes is not None:
            await self._pipes.close()
        await self._http.close()

    def _route(self, connector: Connector, lane: Lane) -> Route:
        transport = connector.transport
        if isinstance(transport, StdioTransport):
            if self._pipes is None:
                raise Unreachable(f"{connector.name} is not reached over HTTP.", is_written=False)
            owner = Owner(lane.place, lane.member_id, lane.variant)
            pipe = self._pipes.pipe(owner, connector, transport)
            return Route(connector, pipe, destination(connector))
        route = self._routes.get(connector.key)
        if route is None or route.connector.sha256 != connector.sha256:
            route = self._routes[connector.key] = self._new_route(connector, transport)
        return route

    def _new_route(self, connector: Connector, transport: HttpTransport) -> Route:
        guard = Guard.of(transport.allow_networks, insecure_http=transport.insecure_http)
        endpoint = self._http.endpoint(transport.url, guard)
        return Route(connector, endpoint, destination(connector))

    def _lane(
        self,
        agent_id: AgentId,
        member_id: MemberId | None,
        connector: Connector,
        declared: JsonObject | None = None,
    ) -> Lane:
        place = ServicePlace(agent_id, connector.key, connector.sha256)
        if _is_shared(connector):  # one process, hence one conversation and one count of ids
            lane = self._lanes.of(place, None, {}, SERVICE_SEATS)
        elif declared is None or self._eras.is_modern(place):
            lane = self._lanes.of(place, member_id, {})
        else:
            lane = self._lanes.of(place, member_id, declared)
        if lane.machine.era is not None and not self._eras.is_good(place):
            self._runner.feed(lane, EraExpired(self._clock.monotonic_s()))
        return lane

    def declared(self, tool: Tool) -> tuple[ParamHeader, ...]:
        """The arguments of a stored tool that headers mirror; its schema is walked once."""
        if tool.definition is None or tool.hash is None:
            return ()
        declared = self._params.get(tool.hash)
        if declared is None:
            if len(self._params) >= _PARAMS_KEPT:
                self._params.clear()
            declared = declared_params(tool.definition.get("inputSchema"))
            self._params[tool.hash] = declared
        return declared

    def _mirrored(self, tool: Tool | None, arguments: JsonObject) -> dict[str, str]:
        declared = self.declared(tool) if tool is not None else ()
        return param_headers(declared, arguments) if declared else {}

    async def _rebuild(self, call: Call, job: Job) -> bool:
        """After -32020: lists the tools anew and rebuilds the headers if the call may go out."""
        if self._recheck is None:
            return False
        try:
            tools = await self.list_tools(
                job.route.connector,
                call.caller.agent.id,
                job.credential,
                member_id=call.caller.member.id,
            )
        except Upstream:
            return False
        definition = next((tool for tool in tools if tool.get("name") == call.name), None)
        tool = None if definition is None else await self._recheck(call, definition)
        if tool is None:
            return False
        headers = self._mirrored(tool, call.arguments)
        job.wanted = replace(job.wanted, param_headers=headers)
        return True

    def _pages(self, lane: Lane, route: Route, credential: Credential, listing: Listing) -> Pages:
        async def page(params: JsonObject) -> Answer | None:
            return await self._page(lane, route, credential, (listing.method, params))

        return Pages(route.connector.name, listing, page, lambda: lane.machine.era)

    async def _page(
        self, lane: Lane, route: Route, credential: Credential, asked: tuple[str, JsonObject]
    ) -> Answer | None:
        """One page; None: the server does not know the method."""
        wanted = Wanted(lane.next_id(), *asked)
        job = Job(wanted, route, credential, None, self._clock.monotonic_s())
        outcome = await self._runner.run(lane, job)
        if isinstance(outcome, Failure):
            raise _as_error(outcome, route.connector.name)
        if outcome.error is not None and outcome.error.get("code") == METHOD_NOT_FOUND:
            return None
        if outcome.error is not None:
            raise Malformed(f"{route.connector.name} refused {asked[0]}.")
        return outcome


def _is_shared(connector: Connector) -> bool:
    transport = connector.transport
    return isinstance(transport, StdioTransport) and transport.scope == "shared"


def _as_error(failure: Failure, name: str) -> Upstream:
    match failure.refusal.kind:
        case RefusalKind.RECONNECT | RefusalKind.SCOPES:
            return SignInRejected(f"{name} wants another credential.")
        case RefusalKind.UPSTREAM_TIMEOUT:
            return TimedOut(f"{name} did not answer in time.")
        case RefusalKind.INVALID_ANSWER:
            return Malformed(f"{name} sent an invalid answer.", cap=failure.cap)
        case _:
            return Unreachable(f"{name} could not be reached.", cap=failure.cap)
