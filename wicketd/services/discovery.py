"""Compares a server's tool list with the stored catalogue: what to write, flag and leave out. Pure.

Source: product spec, section 6 (names, tiers, drift); policy spec, 5.3 (falling tiers). Invariant:
a tool whose definition nobody reviewed never gets a lower tier than it had.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from wicketd.connectors.tiers import tier
from wicketd.domain.catalogue import (
    Connector,
    Tier,
    TierSource,
    Tool,
    ToolStatus,
    required_arguments,
)
from wicketd.domain.json import JsonObject
from wicketd.policy.shapes import input_shape

NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
RESERVED: Final = "any"
"""The group action of each namespace; a tool of that name would be its own parent (V4)."""
HARM: Final = (Tier.READ, Tier.WRITE, Tier.DESTRUCTIVE)


@dataclass(frozen=True, slots=True)
class Excluded:
    """A tool that clients never see. `reason`: name_characters, name_too_long or name_reserved."""

    tool: str
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """What drift found. `kind`: "added", "changed" or "removed"."""

    kind: str
    before: Tool | None
    after: Tool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a list means. `writes`: rows that differ from the stored ones; `tools`: all rows."""

    tools: tuple[Tool, ...]
    writes: tuple[Tool, ...]
    changes: tuple[Change, ...]
    excluded: tuple[Excluded, ...]
    tools_hash: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How a list is read. `is_first`: nothing was discovered before.

    `reported`: definitions of open changes by tool and hash, which are not reported twice.
    """

    connector: Connector
    name_max: int
    at_ms: int
    is_first: bool
    reported: Mapping[tuple[str, str], JsonObject] = field(default_factory=dict)


def definition_hash(definition: JsonObject) -> str:
    """SHA-256 of the canonical definition, hex."""
    return hashlib.sha256(msgspec.json.encode(definition, order="deterministic")).hexdigest()


def is_changed(tool: Tool) -> bool:
    """Whether the tool differs from what an admin acknowledged; a new one does not."""
    return tool.acked_hash is not None and tool.acked_hash != tool.hash


def declared(connector: Connector, at_ms: int) -> tuple[Tool, ...]:
    """The tools that the connector file names, before a server was asked."""
    return tuple(
        Tool(
            name=name,
            definition=None,
            hash=None,
            tier=declared_tier,
            tier_source=TierSource.CATALOGUE,
            first_seen_at=at_ms,
            last_seen_at=at_ms,
        )
        for name, declared_tier in sorted(connector.tools.declared().items())
    )


def plan(stored: Sequence[Tool], listed: Iterable[JsonObject], reading: Reading) -> Plan:
    """Compares. `listed`: definitions as the server sent them; of equal names the first counts."""
    before = {tool.name: tool for tool in stored}
    after: dict[str, Tool] = {}
    for definition in listed:
        name = definition.get("name")
        if isinstance(name, str) and name and name not in after:
            after[name] = _seen(before.get(name), name, definition, reading)
    for name in before.keys() - after.keys():
        after[name] = _missing(before[name])
    tools = tuple(after[name] for name in sorted(after))
    writes = tuple(tool for tool in tools if tool != before.get(tool.name))
    changes = () if reading.is_first else _changes(before, writes, reading.reported)
    return Plan(tools, writes, tuple(changes), _excluded(tools), _tools_hash(tools))


def retiered(tool: Tool, connector: Connector, *, first_discovery: bool) -> Tool:
    """The tool under the tier rules of `connector` and its own override."""
    found, source = tier(
        connector.tools,
        tool.name,
        _annotations(tool.definition),
        tool.override_tier,
        first_discovery=first_discovery,
    )
    return replace(tool, tier=found, tier_source=source)


def first_discovered(tools: Iterable[Tool], connector: Connector) -> frozenset[str]:
    """The tools that came with the first list: the oldest of those the file does not name."""
    names = connector.tools.declared()
    seen = {tool.name: tool.first_seen_at for tool in tools if tool.name not in names}
    oldest = min(seen.values(), default=0)
    return frozenset(name for name, at_ms in seen.items() if at_ms == oldest)


def _seen(before: Tool | None, name: str, definition: JsonObject, reading: Reading) -> Tool:
    digest = definition_hash(definition)
    if before is None:
        fresh = Tool(name, definition, digest, Tier.DESTRUCTIVE, TierSource.DEFAULT)
        return _new(replace(fresh, first_seen_at=reading.at_ms), reading)
    if before.definition is None:
        return _new(replace(before, definition=definition, hash=digest), reading)
    if digest == before.hash or _is_reported(before, digest, reading):
        return _back(before, reading.at_ms)
    changed = replace(before, definition=definition, hash=digest, last_seen_at=reading.at_ms)
    return _back(_with_held_tier(before, changed, reading.connector), reading.at_ms)


def _is_reported(before: Tool, digest: str, reading: Reading) -> bool:
    """Two members see different definitions: the acknowledged one counts.

    Not where policies could tell them apart: the arguments of one would go unseen under the other.
    """
    other = reading.reported.get((before.name, digest))
    if other is None or before.hash != before.acked_hash:
        return False
    return _seen_by_policies(before.definition) == _seen_by_policies(other)


def _seen_by_policies(definition: JsonObject | None) -> tuple[object, ...]:
    annotations = dict(_annotations(definition) or {})
    return input_shape(definition), required_arguments(definition), annotations


def _new(tool: Tool, reading: Reading) -> Tool:
    reason = _why_excluded(tool.name, reading)
    status = ToolStatus.ACTIVE if reason is None else ToolStatus.EXCLUDED
    seen = replace(
        tool,
        status=status,
        exclude_reason=reason,
        acked_hash=tool.hash if reading.is_first else None,
        last_seen_at=reading.at_ms,
    )
    return retiered(seen, reading.connector, first_discovery=reading.is_first)


def _back(tool: Tool, at_ms: int) -> Tool:
    if tool.status is ToolStatus.GONE:
        return replace(tool, status=ToolStatus.ACTIVE, last_seen_at=at_ms)
    return tool


def _with_held_tier(before: Tool, changed: Tool, connector: Connector) -> Tool:
    """A tier that falls by annotations alone holds until an admin sets it; a rise holds at once."""
    found = retiered(changed, connector, first_discovery=before.tier_source is TierSource.CATALOGUE)
    by_server = found.tier_source in {TierSource.ANNOTATIONS, TierSource.DEFAULT}
    if by_server and HARM.index(found.tier) < HARM.index(before.tier):
        return replace(changed, tier=before.tier, tier_source=before.tier_source)
    return found


def _missing(tool: Tool) -> Tool:
    return tool if tool.status is ToolStatus.EXCLUDED else replace(tool, status=ToolStatus.GONE)


def _changes(
    before: Mapping[str, Tool],
    writes: Iterable[Tool],
    reported: Mapping[tuple[str, str], JsonObject],
) -> Iterable[Change]:
    for tool in writes:
        old = before.get(tool.name)
        if tool.status is ToolStatus.GONE:
            yield Change("removed", old, tool)
        elif old is None or old.definition is None:
            yield Change("added", old, tool)
        elif old.hash != tool.hash and tool.hash != tool.acked_hash:
            if (tool.name, tool.hash) in reported:
                continue
            yield Change("changed", old, tool)
        elif old.status is ToolStatus.GONE:
            yield Change("added", old, tool)


def _why_excluded(name: str, reading: Reading) -> str | None:
    if not NAME.fullmatch(name):
        return "name_characters"
    if name == RESERVED:
        return "name_reserved"
    if len(f"{reading.connector.key}__{name}") > reading.name_max:
        return "name_too_long"
    return None


def _excluded(tools: Iterable[Tool]) -> tuple[Excluded, ...]:
    return tuple(
        Excluded(tool.name, tool.exclude_reason or "")
        for tool in tools
        if tool.status is ToolStatus.EXCLUDED
    )


def _tools_hash(tools: Iterable[Tool]) -> str:
    pairs = [(tool.name, tool.hash) for tool in tools if tool.status is ToolStatus.ACTIVE]
    return hashlib.sha256(msgspec.json.encode(pairs)).hexdigest()


def _annotations(definition: JsonObject | None) -> Mapping[str, object] | None:
    found = (definition or {}).get("annotations")
    return found if isinstance(found, dict) else None
