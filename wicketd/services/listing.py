"""What one member's lists hold: each service's tools, filtered by the decision code of the call.

Services are asked in parallel, 5 s each; a late answer goes on for 30 s and is announced. A service
that cannot be shown is named with its reason, never silently missing. Counterpart of `proxy.lists`,
which merges and pages, and `services.connectors.observe`, which compares with the stored catalogue.
Source: protocol spec, section 3.2; policy spec, section 8.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from wicketd.domain.calls import Caller, Failure, RefusalKind
from wicketd.domain.catalogue import Connector, CredentialKind, Listing
from wicketd.domain.connections import Credential
from wicketd.domain.errors import SignInRejected, TimedOut, Unreachable, Upstream, WicketError
from wicketd.domain.ids import AgentId, MemberId
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Clock, Spawn
from wicketd.policy.entities import Kind
from wicketd.policy.listing import may_list
from wicketd.services.builtin import BUILT_IN_KEY, status_definition
from wicketd.services.snapshots import AgentSnapshot, Snapshots
from wicketd.services.unlocking import Unlocker

DEADLINE_S: Final = 5.0
LATE_S: Final = 30.0
FRESH_MS: Final = 10 * 60 * 1000
LAST_GOOD_MS: Final = 24 * 60 * 60 * 1000
_VIEWS: Final = 4096
_KINDS: Final = {Listing.PROMPTS: Kind.PROMPT}
_COPIES: Final = 4096

_Key = tuple[str, str, str, str, Listing]
"""Agent id, service, digest of the connector file, the member ("" for a shared copy), the list."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Definitions by service as the upstreams sent them, what policy shows, and what is missing.

    `shown`: (service, tool) pairs. `unavailable`: {service, reason, url?} (protocol spec, 3.3).
    """

    catalogues: Mapping[str, Sequence[JsonObject]]
    shown: frozenset[tuple[str, str]]
    unavailable: tuple[JsonObject, ...]
    enabled: tuple[str, ...]


class ToolSource(Protocol):
    """Fetches a service's tools, pages followed, from its upstream."""

    async def list_items(
        self, connector: Connector, caller: Caller, credential: Credential, listing: Listing
    ) -> list[JsonObject]:
        """The definitions as sent; none where the upstream does not know the list.

        Raises:
            Upstream: unreachable, late or malformed.
        """


Observe = Callable[[str, str, Sequence[JsonObject]], Awaitable[None]]
"""(agent id, service key, definitions): compares with the stored catalogue, flags drift."""
Late = Callable[[AgentId, str], None]
"""(agent id, service key): a list came that somebody had stopped waiting for."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How a list is had: the upstream, the member's credential, and who hears of it."""

    source: ToolSource
    unlocker: Unlocker
    observe: Observe
    late: Late


@dataclass(slots=True)
class _Copy:
    at: int
    tools: list[JsonObject]


@dataclass(slots=True)
class _Fetch:
    done: asyncio.Event
    problem: str | None = "unreachable"
    is_late: bool = False


class Listings:
    """Builds a member's view; keeps upstream lists and filtered sets in bounded memory."""

    def __init__(
        self,
        snapshots: Snapshots,
        reach: Reach,
        clock: Clock,
        spawn: Spawn,
        *,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._deadline_s = deadline_s
        self._snapshots = snapshots
        self._reach = reach
        self._clock = clock
        self._spawn = spawn
        self._copies: OrderedDict[_Key, _Copy] = OrderedDict()
        self._fetches: dict[_Key, _Fetch] = {}
        self._views: dict[tuple[object, ...], frozenset[tuple[str, str]]] = {}
        self._faults: dict[tuple[AgentId, str], str] = {}

    async def of(
        self,
        caller: Caller,
        connect_url: Callable[[str], str | None],
        listing: Listing = Listing.TOOLS,
    ) -> Listed:
        """The member's view now. `connect_url`: where a member connects a service, if anywhere."""
        snapshot = self._snapshots.of(caller.agent.id)
        if snapshot is None:
            return Listed({}, frozenset(), (), ())
        keys = sorted(key for key in snapshot.connectors if snapshot.is_enabled(key))
        found = await asyncio.gather(
            *(self._service(caller, snapshot, key, listing) for key in keys)
        )
        catalogues: dict[str, Sequence[JsonObject]] = {}
        unavailable: list[JsonObject] = []
        for key, (tools, problem) in zip(keys, found, strict=True):
            catalogues[key] = tools
            if problem is not None:
                unavailable.append(_note(key, problem, connect_url(key)))
        if BUILT_IN_KEY in snapshot.services and listing is Listing.TOOLS:
            catalogues[BUILT_IN_KEY] = [status_definition(unavailable)]
        # Observing may have put a new catalogue in force: filter by what calls are decided on now.
        current = self._snapshots.of(caller.agent.id) or snapshot
        shown = self._shown(caller, current, catalogues, listing)
        return Listed(catalogues, shown, tuple(unavailable), tuple(keys))

    def outdate(
        self, agent_id: AgentId, member_id: MemberId | None, service: str, listing: Listing
    ) -> None:
        """The upstream says that its list changed; None: for all members alike.

        The copies stay as the last good ones.
        """
        old_ms = self._clock.now_ms() - FRESH_MS
        owners = {"", member_id}
        for (agent, key, _, owner, kind), copy in self._copies.items():
            is_meant = (agent, key, kind) == (agent_id, service, listing)
            if is_meant and (member_id is None or owner in owners):
                copy.at = min(copy.at, old_ms)

    def is_shown(self, caller: Caller, service: str, tool: str) -> bool:
        """Whether policy shows one stored tool to the member; no upstream is asked."""
        snapshot = self._snapshots.of(caller.agent.id)
        if snapshot is None or (service, tool) not in snapshot.tools:
            return False
        return (service, tool) in self._filtered(caller, snapshot, frozenset({(service, tool)}))

    def faults(self) -> dict[tuple[AgentId, str], str]:
        """Enabled services whose own fault it was that the last list lacked them, and why.

        By (agent id, service); what a member has not connected is no fault of a service.
        """
        found = {}
        for (agent_id, service), why in self._faults.items():
            snapshot = self._snapshots.of(agent_id)
            if snapshot is not None and snapshot.is_enabled(service):
                found[agent_id, service] = why
        return found

    def _judge(self, key: _Key, problem: str | None) -> None:
        at = (AgentId(key[0]), key[1])
        if problem is None:
            self._faults.pop(at, None)
        elif problem in _OWN_FAULTS:
            self._faults[at] = problem

    async def _service(
        self, caller: Caller, snapshot: AgentSnapshot, service: str, listing: Listing
    ) -> tuple[list[JsonObject], str | None]:
        connector = snapshot.connectors[service]
        shared = connector.credential.kind is CredentialKind.NONE
        owner = "" if shared else caller.member.id
        key = (caller.agent.id, service, connector.sha256, owner, listing)
        copy = self._copies.get(key)
        now = self._clock.now_ms()
        if copy is not None and now - copy.at < FRESH_MS:
            return copy.tools, None
        problem = await self._refreshed(key, caller, connector)
        copy = self._copies.get(key)
        if problem is None and copy is not None:
            return copy.tools, None
        usable = copy is not None and now - copy.at < LAST_GOOD_MS and problem in _KEEPS_LAST_GOOD
        return (copy.tools if usable and copy is not None else []), problem or "timeout"

    async def _refreshed(self, key: _Key, caller: Caller, connector: Connector) -> str | None:
        fetch = self._fetches.get(key)
        if fetch is None:
            fetch = self._fetches[key] = _Fetch(asyncio.Event())
            self._spawn(self._fetch(key, fetch, caller, connector), name=f"list {connector.key}")
        try:
            async with asyncio.timeout(self._deadline_s):
                await fetch.done.wait()
        except TimeoutError:
            fetch.is_late = True
            self._judge(key, "timeout")
            return "timeout"
        return fetch.problem

    async def _fetch(self, key: _Key, fetch: _Fetch, caller: Caller, connector: Connector) -> None:
        try:
            async with asyncio.timeout(LATE_S):
                fetch.problem = await self._ask(key, caller, connector)
        except TimeoutError:
            fetch.problem = "timeout"
        finally:
            self._fetches.pop(key, None)
            self._judge(key, fetch.problem)
            fetch.done.set()
        if fetch.is_late and fetch.problem is None:
            self._reach.late(caller.agent.id, connector.key)

    async def _ask(self, key: _Key, caller: Caller, connector: Connector) -> str | None:
        credential = await self._reach.unlocker.unlock(caller, connector.key)
        if isinstance(credential, Failure):
            return _REASONS.get(credential.refusal.kind, "not_connected")
        try:
            tools = await self._listed(caller, connector, credential, key[-1])
            if isinstance(tools, Failure):
                return _REASONS.get(tools.refusal.kind, "not_connected")
            if key[-1] is Listing.TOOLS:
                await self._reach.observe(caller.agent.id, connector.key, tools)
        except TimedOut:
            return "timeout"
        except Unreachable:
            return "unreachable"
        except Upstream:
            return "incompatible"
        except WicketError:
            return "unreachable"
        self._copies[key] = _Copy(self._clock.now_ms(), tools)
        self._copies.move_to_end(key)
        if len(self._copies) > _COPIES:
            self._copies.popitem(last=False)
        return None

    async def _listed(
        self, caller: Caller, connector: Connector, credential: Credential, listing: Listing
    ) -> list[JsonObject] | Failure:
        """The upstream's list; after a refused credential once more, with a renewed one."""
        source, unlocker = self._reach.source, self._reach.unlocker
        try:
            return await source.list_items(connector, caller, credential, listing)
        except SignInRejected:
            renewed = await unlocker.renew(caller, connector.key, credential)
        if isinstance(renewed, Failure):
            return renewed
        try:
            return await source.list_items(connector, caller, renewed, listing)
        except SignInRejected:
            await unlocker.rejected(caller, connector.key, renewed)
            raise

    def _shown(
        self,
        caller: Caller,
        snapshot: AgentSnapshot,
        catalogues: Mapping[str, Sequence[JsonObject]],
        listing: Listing,
    ) -> frozenset[tuple[str, str]]:
        names = frozenset(
            (service, str(item.get(listing.key)))
            for service, items in catalogues.items()
            for item in items
        )
        if listing is Listing.TOOLS:
            return self._filtered(caller, snapshot, names.intersection(snapshot.tools))
        return self._filtered(caller, snapshot, names, _KINDS.get(listing, Kind.RESOURCE))

    def _filtered(
        self,
        caller: Caller,
        snapshot: AgentSnapshot,
        names: frozenset[tuple[str, str]],
        kind: Kind = Kind.TOOL,
    ) -> frozenset[tuple[str, str]]:
        compiled = snapshot.engine
        view = (
            caller.member.id,
            caller.member.rev,
            compiled.stamp,
            frozenset(compiled.blocked),
            names,
            kind,
        )
        shown = self._views.get(view)
        if shown is None:
            member, agent = caller.member, caller.agent
            shown = frozenset(
                at for at in names if may_list(compiled, member, agent, *at, kind=kind)
            )
            if len(self._views) >= _VIEWS:
                self._views.clear()
            self._views[view] = shown
        return shown


_OWN_FAULTS: Final = frozenset({"timeout", "unreachable", "incompatible"})
_KEEPS_LAST_GOOD: Final = frozenset({"timeout", "unreachable"})
_REASONS: Final[dict[RefusalKind, str]] = {
    RefusalKind.NOT_CONNECTED: "not_connected",
    RefusalKind.RECONNECT: "needs_reconnect",
    RefusalKind.SCOPES: "needs_reconnect",
}


def _note(service: str, reason: str, url: str | None) -> JsonObject:
    note: JsonObject = {"service": service, "reason": reason}
    if url is not None and reason in {"not_connected", "needs_reconnect"}:
        note["url"] = url
    return note
