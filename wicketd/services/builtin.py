"""The built-in service `wicket` with its one tool `wicket__status`, answered without any upstream.

It passes the same decision and audit as every other tool, so that a model can be told which
services are missing and why. Source: protocol spec, section 3.3.
"""

from collections.abc import Sequence
from typing import Final

from wicketd.domain.catalogue import ServiceView, Tier, TierSource, Tool
from wicketd.domain.json import Json, JsonObject

BUILT_IN_KEY: Final = "wicket"
_TOOL: Final = "status"
_NAMESPACE: Final = "WicketMCP"
_DESCRIPTION: Final = (
    "Shows which services are reachable through Wicket, and what to do about the others."
)


def status_view() -> ServiceView:
    """The service as the policy schema sees it."""
    tool = Tool(
        name=_TOOL,
        definition=status_definition(()),
        hash=None,
        tier=Tier.READ,
        tier_source=TierSource.CATALOGUE,
    )
    return ServiceView(BUILT_IN_KEY, _NAMESPACE, (tool,))


def status_definition(unavailable: Sequence[JsonObject]) -> JsonObject:
    """The tool as one member's list shows it; its description names what is unavailable now."""
    description = _DESCRIPTION
    if unavailable:
        named = ", ".join(_unavailable(entry) for entry in unavailable)
        description = f"{description} Unavailable now: {named}."
    return {
        "name": _TOOL,
        "title": "Wicket status",
        "description": description,
        "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    }


def status_result(services: Sequence[JsonObject]) -> JsonObject:
    """The tool's result: `services` as {key, state, reason?, url?}."""
    lines = [f"{entry['key']}: {_told(entry)}" for entry in services]
    text = "\n".join(lines) or "No service is enabled for this agent. Ask its owner to enable one."
    structured: JsonObject = {"services": list[Json](services)}
    return {"content": [{"type": "text", "text": text}], "structuredContent": structured}


def _told(entry: JsonObject) -> str:
    reason = entry.get("reason")
    url = entry.get("url")
    told = str(entry["state"]) if reason is None else f"{entry['state']} ({reason})"
    return told if url is None else f"{told}, connect at {url}"


def _unavailable(entry: JsonObject) -> str:
    url = entry.get("url")
    why = f"connect at {url}" if url is not None else str(entry["reason"]).replace("_", " ")
    return f"{entry['service']} ({why})"
