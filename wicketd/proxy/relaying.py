"""What an upstream may ask of a client, and whether what it asks keeps to that. Pure.

Nothing is declared that cannot be delivered: the client's capabilities, the revision it speaks and
the connector's `relay` all have to admit it. Source: protocol spec, section 5.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wicketd.domain.json import Json, JsonObject

ASKED_MAX: Final = 32
ASKED_BYTES_MAX: Final = 256 * 1024
STATE_MAX: Final = 64 * 1024
URL_MAX: Final = 2_048
WORDS_MAX: Final = 2_000
INPUTS: Final = frozenset({"elicitation.form", "elicitation.url", "sampling", "roots"})
_ASKING: Final = ("inputRequests", "_meta")
_SAMPLING: Final = ("tools", "context")
_ELICIT: Final = "elicitation/create"
_ROOTS: Final = "roots/list"
_SAMPLE: Final = "sampling/createMessage"
_NOT_OURS: Final = ("_meta", "task")
"""Members of a question that nobody declared."""
_NEWER: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "2025-03-26": frozenset({"elicitation.form", "elicitation.url", *_SAMPLING}),
        "2025-06-18": frozenset({"elicitation.url", *_SAMPLING}),
    }
)
"""What a revision has no words for, whatever its client declares."""
_UNANSWERED: Final = -32603
_UNKNOWN: Final[JsonObject] = {"code": -32601, "message": "Method not found"}


def declared(capabilities: JsonObject, relay: Iterable[str], version: str) -> JsonObject:
    """What is declared to an upstream for a client of the MCP revision `version`."""
    allowed = frozenset(relay) - _NEWER.get(version, frozenset())
    found: JsonObject = {}
    elicitation = capabilities.get("elicitation")
    if isinstance(elicitation, dict):
        modes = set(elicitation) & {"form", "url"} or {"form"}
        kept: JsonObject = {mode: {} for mode in sorted(modes) if f"elicitation.{mode}" in allowed}
        if kept:
            found["elicitation"] = kept
    sampling = capabilities.get("sampling")
    if isinstance(sampling, dict) and "sampling" in allowed:
        known = [key for key in _SAMPLING if key not in _NEWER.get(version, ())]
        found["sampling"] = {key: {} for key in known if key in sampling}
    if isinstance(capabilities.get("roots"), dict) and "roots" in allowed:
        found["roots"] = {}
    return found


def withheld(error: JsonObject, capabilities: JsonObject, granted: JsonObject) -> str | None:
    """What an upstream misses only because `relay` keeps it back from it: a word of `relay`.

    `error`: its -32021; `capabilities`: the client's; `granted`: what was declared of them.
    """
    data = error.get("data")
    required = data.get("requiredCapabilities") if isinstance(data, dict) else None
    if not isinstance(required, dict):
        return None
    for word in sorted(INPUTS):
        kind, _, mode = word.partition(".")
        one: JsonObject = {kind: {mode: {}} if mode else {}}
        is_missing = _has(required, kind, mode) and not _has(granted, kind, mode)
        if is_missing and declared(capabilities, (word,), "") == one:
            return word
    return None


def is_input_required(result: JsonObject | None) -> bool:
    """Whether an answer is a question."""
    return result is not None and result.get("resultType") == "input_required"


def may_pass(result: JsonObject, capabilities: JsonObject) -> bool:
    """Whether the questions of a result are ones that were declared, within their caps."""
    asked, state = result.get("inputRequests"), result.get("requestState")
    if state is not None and (not isinstance(state, str) or len(state.encode()) > STATE_MAX):
        return False
    if asked is None:
        return state is not None
    if not isinstance(asked, dict) or len(asked) > ASKED_MAX:
        return False
    is_small = len(msgspec.json.encode(asked)) <= ASKED_BYTES_MAX
    return is_small and all(is_declared(one, capabilities) for one in asked.values())


def asking(result: JsonObject, state: str) -> JsonObject:
    """The questions as a modern client gets them: under our state, without unknown members."""
    kept: JsonObject = {key: result[key] for key in _ASKING if key in result}
    return {"resultType": "input_required", **kept, "requestState": state}


def questions(result: JsonObject) -> dict[str, JsonObject]:
    """The questions of a result that `may_pass`, by their keys; none: come back later."""
    asked = result.get("inputRequests")
    found = asked if isinstance(asked, dict) else {}
    return {key: question(one) for key, one in found.items() if isinstance(one, dict)}


def question(asked: JsonObject) -> JsonObject:
    """Method and params of a declared question, without what nobody declared."""
    params = asked.get("params")
    given = params if isinstance(params, dict) else {}
    kept: JsonObject = {key: value for key, value in given.items() if key not in _NOT_OURS}
    return {"method": asked.get("method"), "params": kept}


def reply(said: JsonObject) -> JsonObject:
    """A client's reply as it is passed on: a result object, or an error of code and message."""
    result, error = said.get("result"), said.get("error")
    if isinstance(result, dict):
        return {"result": {key: value for key, value in result.items() if key not in _NOT_OURS}}
    code = error.get("code") if isinstance(error, dict) else None
    words = error.get("message") if isinstance(error, dict) else None
    return {
        "error": {
            "code": code if type(code) is int else _UNANSWERED,
            "message": words[:WORDS_MAX] if isinstance(words, str) else "The client has no answer.",
        }
    }


def unanswered(asked: JsonObject) -> JsonObject:
    """The reply to a question that the client did not answer in time."""
    if asked.get("method") == _ELICIT:
        return {"result": {"action": "cancel"}}
    return {"error": {"code": _UNANSWERED, "message": "The client did not answer in time."}}


def unasked() -> JsonObject:
    """The reply to a question that was not declared, or that reaches nobody."""
    return {"error": dict(_UNKNOWN)}


def url_questions(error: JsonObject) -> dict[str, JsonObject]:
    """The pages that a legacy server's -32042 names, as questions of the modern era."""
    data = error.get("data")
    pages = data.get("elicitations") if isinstance(data, dict) else None
    found: dict[str, JsonObject] = {}
    for page in pages if isinstance(pages, list) else ():
        given = page if isinstance(page, dict) else {}
        params: JsonObject = {key: given.get(key) for key in ("mode", "message", "url")}
        found[f"r{len(found) + 1}"] = {"method": _ELICIT, "params": params}
    return found if len(found) <= ASKED_MAX else {}


def inputs(asked: Mapping[str, JsonObject], replies: Mapping[str, JsonObject]) -> JsonObject | None:
    """The replies as a modern upstream takes them, which knows results only.

    None: the client refused something that cannot be cancelled in words.
    """
    found: JsonObject = {}
    for key, one in asked.items():
        result = replies.get(key, {}).get("result")
        if result is None and one.get("method") == _ELICIT:
            result = {"action": "cancel"}
        if result is None:
            return None
        found[key] = result
    return found


def is_declared(asked: Json, capabilities: JsonObject) -> bool:
    """Whether a question (method and params) is one that was declared."""
    if not isinstance(asked, dict):
        return False
    params = asked.get("params")
    match asked.get("method"):
        case method if method == _ROOTS:
            return "roots" in capabilities
        case method if method == _SAMPLE:
            return _is_sampling(params, capabilities.get("sampling"))
        case method if method == _ELICIT and isinstance(params, dict):
            modes = capabilities.get("elicitation")
            mode = params.get("mode", "form")
            is_known = isinstance(modes, dict) and isinstance(mode, str) and mode in modes
            return is_known and (mode != "url" or _is_fit_url(params.get("url")))
    return False


def _has(capabilities: JsonObject, kind: str, mode: str) -> bool:
    found = capabilities.get(kind)
    if not isinstance(found, dict):
        return False
    return not mode or mode in found or (mode == "form" and not found)


def _is_sampling(params: Json, declared_sampling: Json) -> bool:
    if not isinstance(params, dict) or not isinstance(declared_sampling, dict):
        return False
    wants_tools = "tools" in params or "toolChoice" in params
    return "tools" in declared_sampling or not wants_tools


def _is_fit_url(url: Json) -> bool:
    if not isinstance(url, str) or len(url) > URL_MAX:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname)
