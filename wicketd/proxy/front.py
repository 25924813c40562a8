"""The front's own business: sessions, handshakes, lists, streams, and all that needs no decision.

Counterpart of `proxy.calls`, whose `Others` it is. Invariants: nothing here contacts an upstream
but the injected list port; what a member gets depends on its key alone. Source: protocol spec, 2.2
to 2.8 and 3.3.
"""

import abc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Protocol

from wicketd.domain.calls import Call, Caller, FrontRequest, Refusal, RefusalKind, Reply
from wicketd.domain.catalogue import Listing
from wicketd.domain.ids import MemberId
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import Front
from wicketd.proxy import jsonrpc, lists, names, results
from wicketd.proxy.calls import Asked, Standing
from wicketd.proxy.errors import RequestErrors
from wicketd.proxy.listening import Listening
from wicketd.proxy.routed import Routed, as_object, label
from wicketd.proxy.session_table import Client, LegacySession, RunningCall, SessionTable

DEFAULT_LOG_LEVEL: Final = "info"
"""Of legacy sessions that never set one."""
_CANCELLED: Final = "notifications/cancelled"
_LISTINGS: Final = MappingProxyType({listing.method: listing for listing in Listing})
_FAULTS: Final = frozenset({"timeout", "unreachable", "incompatible"})
_CAPABILITIES_BYTES: Final = 4096
_ACCEPTED: Final = Reply(202, b"", ())
_DONE: Final = Reply(200, b"", ())


class ListPort(Protocol):
    """Where a member's lists come from."""

    async def list_tools(self, caller: Caller) -> lists.ListView:
        """The tools that the caller's member may see, under their front names, in order."""

    async def list_others(self, caller: Caller, listing: Listing) -> lists.ListView:
        """Prompts, resources or templates, likewise."""


class Visitor(Front, RunningCall):
    """The front of a request that may belong to a session."""

    @abc.abstractmethod
    def entered(self, caller: Caller, routed: Routed, session: LegacySession | None) -> None:
        """The request got past its key, its shape and its session."""


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request that is answered here."""

    caller: Caller
    routed: Routed
    request: FrontRequest
    session: LegacySession | None
    granted: tuple[Call, ...]


class Desk:
    """Everything on `/mcp` but policy-checked calls; `app.py` makes it once."""

    def __init__(
        self,
        tools: ListPort,
        *,
        sessions: SessionTable,
        listening: Listening,
        request_errors: RequestErrors = RequestErrors.JSONRPC,
    ) -> None:
        self._tools = tools
        self._sessions = sessions
        self._cursors = lists.Cursors(sessions.random)
        self._listening = listening
        self.request_errors = request_errors
        self._answers: dict[str, Callable[[_Visit], Awaitable[Reply | Refusal]]] = {
            "initialize": self._initialize,
            "server/discover": self._discover,
            "ping": self._nothing,
            "logging/setLevel": self._set_level,
            "resources/unsubscribe": self._unsubscribe,
            "tools/list": self._list_tools,
            "prompts/list": self._list_others,
            "resources/list": self._list_others,
            "resources/templates/list": self._list_others,
            "subscriptions/listen": self._listen,
        }

    def enter(self, caller: Caller, routed: Routed, front: Front) -> Standing | Refusal:
        """Finds the caller's session (L3) and takes the request's id (L8)."""
        session = None
        if routed.session_id is not None:
            session = self._sessions.find(routed.session_id, caller)
            if session is None:
                return Refusal(RefusalKind.UNKNOWN_SESSION)
        if isinstance(front, Visitor):
            if session is not None and routed.front_id is not None:
                refused = session.begin(routed.front_id, front)
                if refused is not None:
                    return Refusal(refused)
            front.entered(caller, routed, session)
        if session is not None:
            return _standing(session)
        name, version = routed.client
        return Standing(routed.version or "", name, version)

    def leave(self, caller: Caller, routed: Routed) -> None:
        """The request is over; its id may come again."""
        if routed.session_id is None or routed.front_id is None:
            return
        session = self._sessions.find(routed.session_id, caller)
        if session is not None:
            session.finish(routed.front_id)

    async def answer(self, asked: Asked) -> Reply | Refusal:
        """Answers what `enter` let in and no decision is needed for."""
        session = self._session(asked)
        visit = _Visit(asked.caller, asked.routed, asked.request, session, asked.granted)
        if visit.routed.message is None:
            return self._get(visit) if visit.request.method == "GET" else _delete(visit)
        if not isinstance(visit.routed.message, jsonrpc.Request):
            return _take_note(visit)
        answer = self._answers.get(visit.routed.message.method)
        return Refusal(RefusalKind.METHOD) if answer is None else await answer(visit)

    def _session(self, asked: Asked) -> LegacySession | None:
        session_id = asked.routed.session_id
        return None if session_id is None else self._sessions.find(session_id, asked.caller)

    # handshakes and small answers

    async def _initialize(self, visit: _Visit) -> Reply:
        result = results.initialized(visit.routed.params.get("protocolVersion"))
        client = _client(visit.routed.params, str(result["protocolVersion"]))
        session = self._sessions.create(visit.caller, client)
        reply = _result(visit, result)
        header = (b"mcp-session-id", session.id.encode("ascii"))
        return replace(reply, headers=(*reply.headers, header))

    async def _discover(self, visit: _Visit) -> Reply:
        return _result(visit, results.discovered())

    async def _nothing(self, visit: _Visit) -> Reply:
        return _result(visit, results.finish({}, visit.routed.era))

    async def _set_level(self, visit: _Visit) -> Reply:
        level = visit.routed.params.get("level")
        if visit.session is not None and isinstance(level, str):
            visit.session.log_level = level
        return await self._nothing(visit)

    # lists

    async def _list_tools(self, visit: _Visit) -> Reply | Refusal:
        view = await self._tools.list_tools(visit.caller)
        if not view.tools and any(note["reason"] in _FAULTS for note in view.unavailable):
            return Refusal(RefusalKind.NOTHING_TO_LIST)
        self._listening.hub.saw(visit.caller.member.id, Listing.TOOLS, lists.digest(view))
        return self._page(visit, view, Listing.TOOLS)

    async def _list_others(self, visit: _Visit) -> Reply | Refusal:
        method = visit.routed.method
        assert method is not None  # noqa: S101  # its row brought us here
        listing = _LISTINGS[method.name]
        view = await self._tools.list_others(visit.caller, listing)
        if listing is Listing.PROMPTS:
            self._listening.hub.saw(visit.caller.member.id, listing, lists.digest(view))
        return self._page(visit, view, listing)

    def _page(self, visit: _Visit, view: lists.ListView, listing: Listing) -> Reply | Refusal:
        place = (visit.caller.member.id, listing.method, lists.digest(view))
        offset = self._offset(visit, place)
        if offset is None:
            return Refusal(RefusalKind.CURSOR)
        _, following = lists.page(view.tools, offset)
        cursor = None
        if following is not None:
            cursor = self._cursors.mint(place, following, self._sessions.clock.now_ms())
        result = lists.list_result(view, listing, offset, cursor, visit.routed.era)
        return _result(visit, result)

    def _offset(self, visit: _Visit, place: tuple[MemberId, str, str]) -> int | None:
        cursor = visit.routed.params.get("cursor")
        if cursor is None:
            return 0
        return self._cursors.redeem(str(cursor), place, self._sessions.clock.now_ms())

    # streams and subscriptions

    def _get(self, visit: _Visit) -> Reply | Refusal:
        if visit.session is None:
            return Refusal(RefusalKind.UNKNOWN_SESSION)
        return self._listening.get(visit.caller, visit.session, visit.request)

    async def _listen(self, visit: _Visit) -> Reply | Refusal:
        return self._listening.listen(visit.caller, visit.routed, visit.granted)

    def subscribed(self, asked: Asked, call: Call) -> None:
        """A subscription of a legacy session was decided, recorded and accepted upstream."""
        session = self._session(asked)
        if session is None:
            return
        subscriber = session.subscriber
        if subscriber is None:
            subscriber = self._listening.subscriber(session)
            session.hold(subscriber, lambda: self._listening.subscriptions.drop(subscriber))
        self._listening.subscriptions.add(subscriber, call)

    async def _unsubscribe(self, visit: _Visit) -> Reply:
        split = names.split_uri(str(visit.routed.params.get("uri")))
        session = visit.session
        if split is not None and session is not None and session.subscriber is not None:
            self._listening.subscriptions.remove(session.subscriber, split.service, split.name)
        return await self._nothing(visit)


def _delete(visit: _Visit) -> Reply:
    """L12: streams end, calls are cancelled, the id is unknown from now on."""
    if visit.session is not None:
        visit.session.close()
    return _DONE


def _take_note(visit: _Visit) -> Reply:
    """L5, L6, M2: a notification or a posted response; what nobody waits for is dropped."""
    message, session = visit.routed.message, visit.session
    if session is None:
        return _ACCEPTED
    if isinstance(message, jsonrpc.Response):
        reply: JsonObject = {"id": message.id, "result": message.result}
        if message.error is not None:
            reply = {"id": message.id, "error": message.error}
        session.replied(reply)
        return _ACCEPTED
    given_up = visit.routed.params.get("requestId")
    is_cancel = visit.routed.method is not None and visit.routed.method.name == _CANCELLED
    if is_cancel and isinstance(given_up, int | str):
        session.cancelled(given_up)
    else:
        session.touched()
    return _ACCEPTED


def _result(visit: _Visit, result: JsonObject) -> Reply:
    front_id = visit.routed.front_id
    assert front_id is not None  # noqa: S101  # only requests are answered with a result
    return Reply(200, jsonrpc.encode(jsonrpc.success(front_id, result)))


def _client(params: JsonObject, version: str) -> Client:
    info = as_object(params.get("clientInfo"))
    capabilities = as_object(params.get("capabilities"))
    if len(jsonrpc.encode(capabilities)) > _CAPABILITIES_BYTES:
        capabilities = {}  # 10,000 sessions must not hold megabytes of somebody's experiments
    return Client(version, label(info.get("name")), label(info.get("version")), capabilities)


def _standing(session: LegacySession) -> Standing:
    client = session.client
    level = session.log_level or DEFAULT_LOG_LEVEL
    return Standing(
        client.protocol_version, client.name, client.version, level, client.capabilities
    )
