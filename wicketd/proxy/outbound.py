"""Requests to an upstream, built from scratch. Counterpart of `inbound`; pure.

Nothing of a client's request is copied but the decided value: headers, ids, tokens and `_meta` are
ours. Source: protocol spec, 4.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import msgspec

from wicketd import __version__
from wicketd.domain.calls import Call, Subject
from wicketd.domain.json import Json, JsonObject
from wicketd.proxy.headers import encode_value
from wicketd.proxy.upstream import LEGACY_VERSIONS, MODERN_VERSIONS
from wicketd.proxy.upstream_events import Session

CLIENT_INFO: Final[Mapping[str, Json]] = MappingProxyType(
    {"name": "wicketd", "version": __version__}
)
BASE_HEADERS: Final = MappingProxyType(
    {
        "Accept": "application/json, text/event-stream",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": f"wicketd/{__version__}",
    }
)
LISTEN: Final = "subscriptions/listen"
"""The wish for a channel; in the legacy era a GET takes its place."""
SUBSCRIBE: Final = "resources/subscribe"
UNSUBSCRIBE: Final = "resources/unsubscribe"
SESSION_HEADER: Final = "Mcp-Session-Id"
_META: Final = "io.modelcontextprotocol/"
_WITHOUT_VERSION_HEADER: Final = "2025-03-26"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request says, before era and session are known. `name`: mirrored as `Mcp-Name`."""

    id: int
    method: str
    params: JsonObject
    name: str | None = None
    param_headers: Mapping[str, str] = field(default_factory=dict)
    log_level: str | None = None
    capabilities: JsonObject = field(default_factory=dict)
    """What a modern upstream may ask for."""
    retry: JsonObject = field(default_factory=dict)
    """To a modern upstream only: the answers to what it asked, and its state."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request of ours, ready to write; `id` is None where no answer is waited for.

    `opens`: it is the legacy handshake. Over pipes only the body is written; of the headers, the
    session and the variable of the credential are looked at.
    """

    headers: dict[str, str]
    body: bytes | None
    id: int | None
    may_batch: bool = False
    method: str = "POST"
    opens: bool = False


def call_params(call: Call) -> JsonObject:
    """The parameters of a decided call: the value that was decided on, and nothing else."""
    if call.method == "completion/complete":
        is_uri = call.subject is Subject.RESOURCE
        field, kind = ("uri", "ref/resource") if is_uri else ("name", "ref/prompt")
        return {"ref": {"type": kind, field: call.name}, **call.arguments}
    if call.subject is Subject.RESOURCE:
        return {"uri": call.name}
    return {"name": call.name, "arguments": call.arguments}


def call_retry(call: Call) -> JsonObject:
    """What continues a call that the upstream answered with questions."""
    state, inputs = call.upstream_state, call.inputs
    retry: JsonObject = {} if inputs is None else {"inputResponses": inputs}
    return retry if state is None else {**retry, "requestState": state}


def request(wanted: Wanted, session: Session | None, credential: Mapping[str, str]) -> Outgoing:
    """A request: modern if `session` is None. `credential`: its one header, or nothing."""
    if session is None:
        return _modern(wanted, credential)
    if wanted.method == LISTEN:
        return _channel(session, credential)
    meta: JsonObject = {"progressToken": wanted.id}
    return Outgoing(
        headers=_legacy_headers(session, credential),
        body=_body(wanted.id, wanted.method, {**wanted.params, "_meta": meta}),
        id=wanted.id,
        may_batch=session.version == _WITHOUT_VERSION_HEADER,
    )


def initialize(
    request_id: int, capabilities: JsonObject, credential: Mapping[str, str]
) -> Outgoing:
    """The handshake of the legacy era; `capabilities`: what the upstream may ask for."""
    params: JsonObject = {
        "protocolVersion": LEGACY_VERSIONS[0],
        "capabilities": capabilities,
        "clientInfo": dict(CLIENT_INFO),
    }
    headers = {**BASE_HEADERS, **credential}
    body = _body(request_id, "initialize", params)
    return Outgoing(headers, body, request_id, may_batch=True, opens=True)


def notification(
    method: str, params: JsonObject, session: Session, credential: Mapping[str, str]
) -> Outgoing:
    """A message to a legacy upstream that needs no answer."""
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    return Outgoing(_legacy_headers(session, credential), msgspec.json.encode(message), None)


def reply(message: JsonObject, session: Session, credential: Mapping[str, str]) -> Outgoing:
    """Our answer to a request of a legacy upstream; `message` is the whole JSON-RPC object."""
    return Outgoing(_legacy_headers(session, credential), msgspec.json.encode(message), None)


def resume(
    wanted: Wanted, session: Session, event_id: str, credential: Mapping[str, str]
) -> Outgoing:
    """Asks a legacy upstream for the rest of a stream."""
    headers = _legacy_headers(session, credential)
    del headers["Content-Type"]
    headers |= {"Accept": "text/event-stream", "Last-Event-ID": event_id}
    may_batch = session.version == _WITHOUT_VERSION_HEADER
    return Outgoing(headers, None, wanted.id, may_batch, "GET")


def _channel(session: Session, credential: Mapping[str, str]) -> Outgoing:
    """The stream on which a legacy upstream says what belongs to no call."""
    headers = _legacy_headers(session, credential)
    del headers["Content-Type"]
    headers["Accept"] = "text/event-stream"
    may_batch = session.version == _WITHOUT_VERSION_HEADER
    return Outgoing(headers, None, None, may_batch, "GET")


def _modern(wanted: Wanted, credential: Mapping[str, str]) -> Outgoing:
    version = MODERN_VERSIONS[0]
    meta: JsonObject = {
        f"{_META}protocolVersion": version,
        f"{_META}clientInfo": dict(CLIENT_INFO),
        f"{_META}clientCapabilities": wanted.capabilities,
        "progressToken": wanted.id,
    }
    if wanted.log_level is not None:
        meta[f"{_META}logLevel"] = wanted.log_level
    headers = {
        **BASE_HEADERS,
        **credential,
        "MCP-Protocol-Version": version,
        "Mcp-Method": wanted.method,
        **wanted.param_headers,
    }
    if wanted.name is not None:
        headers["Mcp-Name"] = encode_value(wanted.name)
    params: JsonObject = {**wanted.params, **wanted.retry, "_meta": meta}
    return Outgoing(headers, _body(wanted.id, wanted.method, params), wanted.id)


def _legacy_headers(session: Session, credential: Mapping[str, str]) -> dict[str, str]:
    headers = {**BASE_HEADERS, **credential}
    if session.id is not None:
        headers[SESSION_HEADER] = session.id
    if session.version != _WITHOUT_VERSION_HEADER:
        headers["MCP-Protocol-Version"] = session.version
    return headers


def _body(request_id: int, method: str, params: JsonObject) -> bytes:
    message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    return msgspec.json.encode(message)
