"""What the front reads from headers: media types, mirrored values, tool-session candidates.

Counterpart of `era`, which compares the mirrored values with the body. Invariant: a header confirms
or contradicts the body, it never adds to it; what cannot be read strictly is a mismatch.
Source: protocol spec, C8 to C10, M6, M10, 2.5.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from wicketd.domain.calls import Caller, Era, FrontRequest, Refusal, RefusalKind
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.sessions import SessionCandidate

JSON: Final = "application/json"
SSE: Final = "text/event-stream"
PARAM_PREFIX: Final = "mcp-param-"

_CONTENT_TYPE: Final = re.compile(
    rb'application/json(?:[\t ]*;[\t ]*charset=(?:utf-8|"utf-8"))?', re.IGNORECASE
)
_USUAL_ACCEPT: Final = b"application/json, text/event-stream"
_ZERO_WEIGHT: Final = re.compile(r"[\t ]*q[\t ]*=[\t ]*0(?:\.0{0,3})?[\t ]*", re.IGNORECASE)
_SENTINEL: Final = re.compile(r"=\?base64\?(.*)\?=")
_PLAIN: Final = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DECIMAL: Final = re.compile(r"(-?[0-9]{1,4300})(?:\.0+)?")
_SESSION_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_SESSION_HEADERS: Final = (
    "x-claude-code-session-id",
    "mcp-session-id",
    "openai-conversation-id",
    "x-mcp-session-id",
)
_SESSION_META: Final = ("wicket/sessionId", "sessionId")


def check_http(request: FrontRequest) -> Refusal | None:
    """Method, media type and Accept (C8 to C10), in this order; None when all are good."""
    if request.method == "POST":
        content_types = request.values(b"content-type")
        if len(content_types) != 1 or _CONTENT_TYPE.fullmatch(content_types[0].strip()) is None:
            return Refusal(RefusalKind.CONTENT_TYPE)
        if request.values(b"content-encoding"):
            return Refusal(RefusalKind.CONTENT_ENCODING)
        return _check_accept(request, JSON, SSE)
    if request.method == "GET":
        return _check_accept(request, SSE)
    if request.method == "DELETE":
        return None
    return Refusal(RefusalKind.HTTP_METHOD, {"allow": "POST, GET, DELETE"})


def _check_accept(request: FrontRequest, *needed: str) -> Refusal | None:
    accept = request.values(b"accept")
    if accept in ([], [_USUAL_ACCEPT]) or admits(b",".join(accept).decode("latin-1"), *needed):
        return None
    return Refusal(RefusalKind.NOT_ACCEPTABLE, {"types": _all_of(needed)})


def _all_of(media_types: tuple[str, ...]) -> str:
    return media_types[0] if len(media_types) == 1 else "both " + " and ".join(media_types)


def admits(accept: str, *needed: str) -> bool:
    """Whether an Accept value admits all media types; the most specific range decides."""
    ranges: dict[str, bool] = {}
    for part in accept.lower().split(","):
        media_range, *params = part.split(";")
        ranges[media_range.strip()] = not any(_ZERO_WEIGHT.fullmatch(param) for param in params)
    return all(_is_admitted(ranges, media_type) for media_type in needed)


def _is_admitted(ranges: Mapping[str, bool], media_type: str) -> bool:
    family = media_type.partition("/")[0] + "/*"
    for media_range in (media_type, family, "*/*"):
        if media_range in ranges:
            return ranges[media_range]
    return False


def encode_value(value: str) -> str:
    """A header form of any text: printable ASCII as it is, else `=?base64?...?=`."""
    if _PLAIN.fullmatch(value) and _SENTINEL.fullmatch(value) is None:
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode('ascii')}?="


def decode_value(raw: bytes) -> str | None:
    """The text behind a header value, trimmed; None if it is no ASCII or a malformed sentinel."""
    try:
        text = raw.decode("ascii").strip(" \t")
        sentinel = _SENTINEL.fullmatch(text)
        if sentinel is None:
            return text
        decoded = base64.b64decode(sentinel[1], validate=True)
        # Spare bits in the last character would give one value two spellings.
        is_canonical = base64.b64encode(decoded).decode("ascii") == sentinel[1]
        return decoded.decode("utf-8") if is_canonical else None
    except (UnicodeDecodeError, binascii.Error):
        return None


@dataclass(frozen=True, slots=True)
class ParamHeader:
    """An `x-mcp-header` property: where its value lies in the arguments, and its header."""

    path: tuple[str, ...]
    header: str
    """With its prefix, lower case."""
    is_integer: bool


def declared_params(schema: Json) -> tuple[ParamHeader, ...]:
    """The `x-mcp-header` properties of an inputSchema, reachable through `properties` alone.

    Made once per tool. Validity of the whole schema is the listing's business.
    """
    return tuple(_declared(schema, ()))


def _declared(schema: Json, path: tuple[str, ...]) -> Iterator[ParamHeader]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return
    for name, child in properties.items():
        if not isinstance(child, dict):
            continue
        token = child.get("x-mcp-header")
        if isinstance(token, str) and _TOKEN.fullmatch(token):
            is_integer = child.get("type") == "integer"
            yield ParamHeader((*path, name), PARAM_PREFIX + token.lower(), is_integer)
        yield from _declared(child, (*path, name))


def param_headers(declared: tuple[ParamHeader, ...], arguments: JsonObject) -> dict[str, str]:
    """The `Mcp-Param-*` headers of a call, rebuilt from its arguments (upstream side)."""
    rendered = ((param.header, _rendered(_at(arguments, param.path))) for param in declared)
    return {header: encode_value(text) for header, text in rendered if text is not None}


def check_param_headers(
    declared: tuple[ParamHeader, ...], arguments: JsonObject, headers: Mapping[str, str]
) -> Refusal | None:
    """M10: each declared property and its header are there together and equal, or both absent.

    `headers`: lower-case names; values as sent. Others than the declared ones are not looked at.
    """
    for param in declared:
        raw = headers.get(param.header)
        value = _at(arguments, param.path)
        expected = _rendered(value)
        if raw is None and expected is None:
            continue
        got = None if raw is None else decode_value(raw.encode("latin-1"))
        if got is None or expected is None or not _agree(param, value, expected, got):
            return mismatch(param.header)
    return None


def _at(arguments: JsonObject, path: tuple[str, ...]) -> Json:
    node: Json = arguments
    for name in path:
        if not isinstance(node, dict):
            return None
        node = node.get(name)
    return node


def _rendered(value: Json) -> str | None:
    """The header text of a scalar; None for what no header mirrors."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _agree(param: ParamHeader, value: Json, expected: str, got: str) -> bool:
    if got == expected:
        return True
    if not param.is_integer or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # Integers compare numerically: 42, 42.0 and a body of 42.0 are one value.
    decimal = _DECIMAL.fullmatch(got)
    return decimal is not None and value == int(decimal[1])


def mismatch(header: str, fault: str = "does not match the request body") -> Refusal:
    """The refusal of a header that contradicts the body (-32020). `header`: lower case."""
    shown = header.title().replace("Mcp-Protocol", "MCP-Protocol")
    return Refusal(RefusalKind.HEADER_MISMATCH, {"header": shown, "fault": fault})


def session_candidates(
    request: FrontRequest, meta: JsonObject, era: Era, caller: Caller
) -> tuple[SessionCandidate, ...]:
    """Where the tool session's id may come from, first match counts (2.5).

    Values are at most 128 visible ASCII characters: others are replaced by their SHA-256. The
    fingerprint comes last and is always there.
    """
    found: list[SessionCandidate] = []
    sent = dict(reversed(request.headers))
    for name in _SESSION_HEADERS:
        raw = sent.get(name.encode())
        if raw and (era is Era.LEGACY or name != "mcp-session-id"):
            found.append(SessionCandidate(name, _session_value(raw.decode("latin-1"))))
    for name in _SESSION_META:
        value = meta.get(name)
        if isinstance(value, str) and value:
            found.append(SessionCandidate(f"_meta.{name}", _session_value(value)))
    trace = "\0".join((caller.ip, caller.user_agent, caller.key_id))
    found.append(SessionCandidate("fingerprint", _sha256(trace)))
    return tuple(found)


def _session_value(text: str) -> str:
    return text if _SESSION_ID.fullmatch(text) else _sha256(text)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
