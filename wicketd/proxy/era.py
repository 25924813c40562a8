"""Which era a request belongs to and whether it may go on: routing R, ladder M, legacy rules L.

Counterpart of the call path, which looks up what a `Routed` names. Invariants: the body decides,
headers only confirm it; the first rule that fails answers. Source: protocol spec, 2.2 to 2.4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeGuard

from wicketd.domain.calls import Era, FrontRequest, Refusal, RefusalKind
from wicketd.domain.json import Json
from wicketd.proxy.headers import PARAM_PREFIX, decode_value, mismatch
from wicketd.proxy.jsonrpc import SHAPE, Message, Notification, Request, Response
from wicketd.proxy.methods import METHODS as METHODS
from wicketd.proxy.methods import Method
from wicketd.proxy.params import Param, Shape, misfit
from wicketd.proxy.routed import (
    META_CAPABILITIES,
    META_CLIENT_INFO,
    META_LOG_LEVEL,
    META_VERSION,
    Routed,
    as_object,
)

LEGACY_VERSIONS: Final = ("2025-03-26", "2025-06-18", "2025-11-25")
MODERN_VERSIONS: Final = ("2026-07-28",)


def negotiate(requested: str) -> str:
    """L1: the version an `initialize` gets; an unknown one is answered with the newest."""
    return requested if requested in LEGACY_VERSIONS else LEGACY_VERSIONS[-1]


def route(request: FrontRequest, message: Message | None) -> Routed | Refusal:
    """Chooses the era (R1 to R6) and runs the modern ladder (M1 to M9) or the legacy rules.

    `message`: the decoded body of a POST, None for GET and DELETE. A legacy session is named, not
    looked up: the caller answers `UNKNOWN_SESSION` if it does not exist, then `pending` if set.
    """
    sent = _Sent.of(request)
    if message is None:
        return _without_body(sent)
    if _era(sent, message) is Era.MODERN:
        return _modern(sent, message)
    if _is_initialize(message):
        method = METHODS["initialize"]
        refusal = misfit(method.params, message.params)
        return refusal or Routed(Era.LEGACY, sent.version, message, method)
    return _legacy(sent, message)


def era_of(request: FrontRequest, message: Message | None) -> Era:
    """The era in which an answer to this request is worded, refusals included."""
    sent = _Sent.of(request)
    return Era.LEGACY if message is None else _era(sent, message)


def _era(sent: "_Sent", message: Message) -> Era:
    if sent.foreign_version is not None:
        return Era.MODERN
    # An initialize carries no authority, whatever its _meta holds (R4).
    return Era.MODERN if _claims_modern(message) and not _is_initialize(message) else Era.LEGACY


def _is_initialize(message: Message) -> TypeGuard[Request]:
    return isinstance(message, Request) and message.method == "initialize"


_MIRRORS: Final = frozenset({"mcp-protocol-version", "mcp-method", "mcp-name"})


@dataclass(frozen=True, slots=True)
class _Sent:
    """The `mcp-*` headers of a request: the first of each, and the first mirror sent twice."""

    first: Mapping[str, bytes]
    repeated: str | None
    foreign_version: str | None
    """The first `MCP-Protocol-Version` that is no legacy version."""

    @classmethod
    def of(cls, request: FrontRequest) -> "_Sent":
        first: dict[str, bytes] = {}
        repeated = foreign = None
        for raw_name, value in request.headers:
            if not raw_name.startswith(b"mcp-"):
                continue
            name = raw_name.decode("latin-1")
            if name == "mcp-protocol-version":
                version = _text(value)
                if version not in LEGACY_VERSIONS and foreign is None:
                    foreign = version
            if name not in first:
                first[name] = value
            elif repeated is None and (name in _MIRRORS or name.startswith(PARAM_PREFIX)):
                repeated = name
        return cls(first, repeated, foreign)

    @property
    def version(self) -> str | None:
        return self.text("mcp-protocol-version")

    def text(self, name: str) -> str | None:
        value = self.first.get(name)
        return None if value is None else _text(value)


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip(" \t")


def _without_body(sent: _Sent) -> Routed | Refusal:
    if sent.foreign_version is not None:
        return Refusal(RefusalKind.HTTP_METHOD, {"allow": "POST"})
    session_id = sent.text("mcp-session-id")
    if session_id is not None:
        return Routed(Era.LEGACY, sent.version, session_id=session_id)
    if sent.version is not None:
        return Refusal(RefusalKind.NO_SESSION)
    return Refusal(RefusalKind.HTTP_METHOD, {"allow": "POST"})


def _legacy(sent: _Sent, message: Message) -> Routed | Refusal:
    session_id = sent.text("mcp-session-id")
    if session_id is None:
        return Refusal(RefusalKind.NO_SESSION)
    routed = Routed(Era.LEGACY, sent.version, message, session_id=session_id)
    if isinstance(message, Response):
        return routed
    method = _served(message, Era.LEGACY)
    if isinstance(message, Notification):
        return replace(routed, method=method)
    pending = _unfit(method, message)
    if pending is not None:
        return replace(routed, pending=pending)
    return replace(routed, message=_without_task(message), method=method)


def _without_task(message: Request) -> Request:
    """Tasks were never declared: their revision demands that the call runs normally (L13)."""
    if "task" not in message.params:
        return message
    params = {name: value for name, value in message.params.items() if name != "task"}
    return replace(message, params=params)


def _claims_modern(message: Message) -> bool:
    if isinstance(message, Response):
        return False
    return META_VERSION in as_object(message.params.get("_meta"))


def _modern(sent: _Sent, message: Message) -> Routed | Refusal:
    if isinstance(message, Notification):
        version = sent.version or ""
        refusal = _unsupported(version)
        return refusal or Routed(Era.MODERN, version, message)
    if isinstance(message, Response):
        return SHAPE
    method = _served(message, Era.MODERN)
    if sent.repeated is not None:
        return mismatch(sent.repeated, fault="appears more than once")
    refusal = (
        misfit(_ENVELOPE, message.params)
        or _mirrored(sent, message)
        or _unsupported(_body_version(message))
        or _unfit(method, message)
    )
    if refusal is not None:
        return refusal
    params = {
        name: _text(value) for name, value in sent.first.items() if name.startswith(PARAM_PREFIX)
    }
    return Routed(Era.MODERN, _body_version(message), message, method, param_headers=params)


_ENVELOPE: Final = (
    Param(("_meta",), Shape.OBJECT),
    Param(("_meta", META_VERSION), Shape.STRING),
    Param(("_meta", META_CAPABILITIES), Shape.OBJECT),
    Param(("_meta", META_CLIENT_INFO), Shape.OBJECT, is_required=False),
    Param(("_meta", META_LOG_LEVEL), Shape.LEVEL, is_required=False),
)


def _body_version(message: Request) -> str:
    return str(as_object(message.params["_meta"])[META_VERSION])


def _mirrored(sent: _Sent, message: Request) -> Refusal | None:
    if sent.version != _body_version(message):
        return mismatch("mcp-protocol-version")
    if sent.text("mcp-method") != message.method:
        return mismatch("mcp-method")
    method = METHODS.get(message.method)
    if method is None or method.name_param is None:
        return None
    named = message.params.get(method.name_param)
    if named is None:
        return None  # M9 refuses it by its name.
    raw_name = sent.first.get("mcp-name")
    if raw_name is None or decode_value(raw_name) != named:
        return mismatch("mcp-name")
    return None


def _unsupported(version: str) -> Refusal | None:
    if version in MODERN_VERSIONS:
        return None
    data: dict[str, Json] = {"supported": list(MODERN_VERSIONS), "requested": version[:80]}
    return Refusal(RefusalKind.VERSION, data=data)


def _served(message: Request | Notification, era: Era) -> Method | None:
    method = METHODS.get(message.method)
    is_served = (
        method is not None
        and method.is_served(era)
        and method.is_notification == isinstance(message, Notification)
    )
    return method if is_served else None


def _unfit(method: Method | None, message: Request) -> Refusal | None:
    """L7, M8: the method has a row for requests of this era; M9: its params fit."""
    if method is None:
        return Refusal(RefusalKind.METHOD)
    return misfit(method.params, message.params)
