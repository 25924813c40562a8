"""Results as each era wants them: what the modern one adds, the legacy one must not see.

Pure. Counterpart of `proxy.front` and `proxy.calls`, which answer with these (protocol spec, L10,
M11 and 3.3).
"""

from typing import Final

from wicketd import __version__
from wicketd.domain.calls import Era
from wicketd.domain.json import JsonObject
from wicketd.proxy.era import MODERN_VERSIONS, negotiate

SERVER_INFO_KEY: Final = "io.modelcontextprotocol/serverInfo"
DISCOVER_TTL_MS: Final = 3_600_000
LIST_TTL_MS: Final = 60_000
PARTIAL_TTL_MS: Final = 5_000
INSTRUCTIONS: Final = (
    "Wicket stands between you and other MCP servers. Tools are named service__tool, and each call"
    " is decided by the policies of your agent's owner and recorded. A refused call says so and"
    " quotes a reference: do not retry it unchanged, but tell the person you work for."
)

_STRUCTURED: Final = "structuredContent"
_MODERN_ONLY: Final = ("resultType", "ttlMs", "cacheScope")


def server_info() -> JsonObject:
    """Who we are."""
    return {"name": "wicket", "title": "Wicket", "version": __version__}


def capabilities() -> JsonObject:
    """What we offer: constant, so that a handshake never waits for an upstream."""
    return {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
        "completions": {},
        "logging": {},
    }


def finish(result: JsonObject, era: Era, ttl_ms: int | None = None) -> JsonObject:
    """A copy of `result` as `era` wants it.

    `ttl_ms`: complete list, read and discover results only.
    """
    if era is Era.LEGACY:
        kept = {key: value for key, value in result.items() if key not in _MODERN_ONLY}
        if not isinstance(kept.get(_STRUCTURED, {}), dict):
            del kept[_STRUCTURED]  # legacy revisions know objects only; the text says it too
        meta = kept.get("_meta")
        if isinstance(meta, dict) and SERVER_INFO_KEY in meta:
            kept["_meta"] = {key: value for key, value in meta.items() if key != SERVER_INFO_KEY}
        return kept
    finished: JsonObject = {"resultType": "complete", **result}
    meta = result.get("_meta")
    own = {SERVER_INFO_KEY: server_info()}
    finished["_meta"] = {**meta, **own} if isinstance(meta, dict) else {**own}
    if ttl_ms is not None:
        finished |= {"ttlMs": ttl_ms, "cacheScope": "private"}
    return finished


def ttl_of(result: JsonObject) -> int:
    """How long a read resource may be kept: as long as the upstream says, at most a minute."""
    ttl_ms = result.get("ttlMs")
    is_number = isinstance(ttl_ms, int) and not isinstance(ttl_ms, bool)
    return max(0, min(ttl_ms, LIST_TTL_MS)) if is_number and isinstance(ttl_ms, int) else 0


def initialized(requested: object) -> JsonObject:
    """The result of `initialize`: the requested version if it is legacy, else the newest one."""
    return {
        "protocolVersion": negotiate(str(requested)),
        "capabilities": capabilities(),
        "serverInfo": server_info(),
        "instructions": INSTRUCTIONS,
    }


def discovered() -> JsonObject:
    """The result of `server/discover`: only modern versions; a legacy one needs `initialize`."""
    result: JsonObject = {
        "supportedVersions": list(MODERN_VERSIONS),
        "capabilities": capabilities(),
        "instructions": INSTRUCTIONS,
    }
    return finish(result, Era.MODERN, DISCOVER_TTL_MS)
