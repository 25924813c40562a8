"""What a server's own tool list lets one propose: tiers with their source, and obvious targets.

Counterpart of `connector_text`, which writes them. A proposal is read by an administrator before
it holds; in doubt a tool is destructive and stays on its own `Wicket::Tool`. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wicketd.connectors.forms import ParentForm, TargetForm, ToolsForm
from wicketd.connectors.tiers import tier
from wicketd.domain.catalogue import Tier, TierRules, TierSource, required_arguments
from wicketd.domain.json import JsonObject

PART: Final = r"[A-Za-z0-9._-]{1,100}"
"""What one part of an id may be: no separator, so that no argument smuggles one."""
_TOOL_CHARACTERS: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
)


@dataclass(frozen=True, slots=True)
class Obvious:
    """Arguments that together name one thing. `parent`: the argument and entity above it."""

    entity: str
    arguments: tuple[str, ...]
    parent: tuple[str, str] | None = None

    @property
    def id(self) -> str:
        """The template of the id."""
        return "/".join(f"{{{name}}}" for name in self.arguments)


OBVIOUS: Final = (
    Obvious("Repository", ("owner", "repo"), ("owner", "Owner")),
    Obvious("Repository", ("org", "repo"), ("org", "Owner")),
    *(
        Obvious(entity, (argument,))
        for entity, names in (
            ("Project", ("project_id", "projectId", "project_ref")),
            ("Database", ("database_id", "databaseId")),
            ("Team", ("team_id", "teamId")),
            ("Workspace", ("workspace_id", "workspaceId")),
            ("Organization", ("organization_id", "organizationId", "org_id", "orgId")),
            ("Account", ("account_id", "accountId")),
            ("Channel", ("channel_id", "channelId")),
            ("Page", ("page_id", "pageId")),
            ("Board", ("board_id", "boardId")),
        )
        for argument in names
    ),
)
"""First match wins. Names that different servers use for different things are not here."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """`sources`: where the tier of each tool comes from; `skipped`: names no tool may have."""

    tools: ToolsForm
    targets: tuple[TargetForm, ...]
    sources: tuple[tuple[str, TierSource], ...]
    skipped: tuple[str, ...]


def propose(listed: Sequence[JsonObject]) -> Proposal:
    """Reads a tool list, in the order of names."""
    tools = {str(each["name"]): each for each in listed if _is_name(each.get("name"))}
    tiers: dict[Tier, list[str]] = {one: [] for one in Tier}
    sources: list[tuple[str, TierSource]] = []
    for name in sorted(tools):
        found, source = tier(
            TierRules(), name, _annotations(tools[name]), None, first_discovery=True
        )
        tiers[found].append(name)
        sources.append((name, source))
    return Proposal(
        ToolsForm(
            read=tuple(tiers[Tier.READ]),
            write=tuple(tiers[Tier.WRITE]),
            destructive=tuple(tiers[Tier.DESTRUCTIVE]),
        ),
        tuple(_targets(tools)),
        tuple(sources),
        tuple(sorted({str(each.get("name")) for each in listed} - tools.keys())),
    )


def _targets(tools: dict[str, JsonObject]) -> Iterable[TargetForm]:
    left = dict(sorted(tools.items()))
    entities: set[str] = set()
    for obvious in OBVIOUS:
        names = tuple(name for name, tool in left.items() if _names_it(tool, obvious))
        if not names or obvious.entity in entities:
            continue
        entities.add(obvious.entity)
        left = {name: tool for name, tool in left.items() if name not in names}
        parents: tuple[ParentForm, ...] = ()
        if obvious.parent is not None:
            argument, entity = obvious.parent
            parents = (ParentForm(entity=entity, id=f"{{{argument}}}"),)
        yield TargetForm(
            entity=obvious.entity, tools=names, id=obvious.id, pattern=PART, parents=parents
        )


def _names_it(tool: JsonObject, obvious: Obvious) -> bool:
    """Whether the tool requires all of the arguments, as texts or integers."""
    if not set(obvious.arguments) <= required_arguments(tool):
        return False
    schema = tool.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return False
    declared = [properties.get(name) for name in obvious.arguments]
    return all(
        isinstance(one, dict) and one.get("type") in {"string", "integer"} for one in declared
    )


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= 128 and set(name) <= _TOOL_CHARACTERS


def _annotations(tool: JsonObject) -> JsonObject | None:
    found = tool.get("annotations")
    return found if isinstance(found, dict) else None
