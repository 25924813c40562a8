"""What an upstream may ask of a client, and whether what it asks keeps to that. Pure.

Nothing is declared that cannot be delivered: the client's capabilities and the connector's `relay`
both have to admit it. Source: protocol spec, section 5.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wicketd.domain.json import Json, JsonObject

ASKED_MAX: Final = 32
ASKED_BYTES_MAX: Final = 256 * 1024
STATE_MAX: Final = 64 * 1024
URL_MAX: Final = 2_048
INPUTS: Final = frozenset({"elicitation.form", "elicitation.url", "sampling", "roots"})
_ASKING: Final = ("inputRequests", "_meta")
_SAMPLING: Final = ("tools", "context")


def declared(capabilities: JsonObject, relay: Iterable[str]) -> JsonObject:
    """What is declared to a modern upstream."""
    allowed = frozenset(relay)
    found: JsonObject = {}
    elicitation = capabilities.get("elicitation")
    if isinstance(elicitation, dict):
        modes = set(elicitation) & {"form", "url"} or {"form"}
        kept: JsonObject = {mode: {} for mode in sorted(modes) if f"elicitation.{mode}" in allowed}
        if kept:
            found["elicitation"] = kept
    sampling = capabilities.get("sampling")
    if isinstance(sampling, dict) and "sampling" in allowed:
        found["sampling"] = {key: {} for key in _SAMPLING if key in sampling}
    if isinstance(capabilities.get("roots"), dict) and "roots" in allowed:
        found["roots"] = {}
    return found


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
    return is_small and all(_is_declared(one, capabilities) for one in asked.values())


def asking(result: JsonObject, state: str) -> JsonObject:
    """The questions as the client gets them: under our state, without members nobody knows."""
    kept: JsonObject = {key: result[key] for key in _ASKING if key in result}
    return {"resultType": "input_required", **kept, "requestState": state}


def _is_declared(asked: Json, capabilities: JsonObject) -> bool:
    if not isinstance(asked, dict):
        return False
    params = asked.get("params")
    match asked.get("method"):
        case "roots/list":
            return "roots" in capabilities
        case "sampling/createMessage":
            return _is_sampling(params, capabilities.get("sampling"))
        case "elicitation/create" if isinstance(params, dict):
            modes = capabilities.get("elicitation")
            mode = params.get("mode", "form")
            is_known = isinstance(modes, dict) and isinstance(mode, str) and mode in modes
            return is_known and (mode != "url" or _is_fit_url(params.get("url")))
    return False


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
