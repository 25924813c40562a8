"""Coverage of a set of policies on the wire."""

from msgspec import Struct


class ToolCover(Struct, frozen=True, kw_only=True):
    """One live tool. `cover`: uncovered, always_forbidden, group or named.

    `policies`: keys of those that can match its calls; `stale`: its calls wait for a look at it.
    """

    service: str
    tool: str
    tier: str
    cover: str
    policies: tuple[str, ...]
    stale: bool


class PolicyCover(Struct, frozen=True, kw_only=True):
    """One live policy. `hits`: calls that it determined; `broken`: its first error today.

    `unmatchable`: no live action is within it; `stale`: tools that changed under it; `flips`: calls
    that it would have turned round since it is watched, None if it is enforced.
    """

    policy: str
    version: int
    enabled: bool
    mode: str
    hits: int
    unmatchable: bool
    stale: tuple[str, ...]
    broken: str | None
    flips: int | None


class Coverage(Struct, frozen=True, kw_only=True):
    """Tools and policies by name. `days`: of which hits are counted."""

    tools: tuple[ToolCover, ...]
    policies: tuple[PolicyCover, ...]
    days: int
