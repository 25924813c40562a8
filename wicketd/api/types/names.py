"""What an agent's policies can name, on the wire: for completion, hover and hints."""

from msgspec import Struct


class Attribute(Struct, frozen=True, kw_only=True):
    """One attribute. `type`: as Cedar spells it, `Record` for one with `attributes`.

    `values`: what its schema says it can be. `description` is an upstream's text: not safe to show.
    """

    name: str
    type: str
    is_optional: bool = False
    description: str = ""
    values: tuple[str, ...] = ()
    attributes: tuple["Attribute", ...] = ()


class EntityType(Struct, frozen=True, kw_only=True):
    """An entity type by its full name."""

    name: str
    attributes: tuple[Attribute, ...]


class ToolName(Struct, frozen=True, kw_only=True):
    """A tool. `input`: attributes of `context.input`; `types`: its resource types.

    `title` and `description` are an upstream's texts: not safe to show.
    """

    service: str
    namespace: str
    name: str
    tier: str
    types: tuple[str, ...]
    needs_target: bool
    input: tuple[Attribute, ...]
    title: str = ""
    description: str = ""
    is_gone: bool = False


class ServiceName(Struct, frozen=True, kw_only=True):
    """A service and the Cedar namespace of its tools."""

    key: str
    namespace: str


class TargetName(Struct, frozen=True, kw_only=True):
    """The target of a call that was made. `type`: full name of an entity type."""

    type: str
    id: str


class Names(Struct, frozen=True, kw_only=True):
    """The tree of names. `context`: attributes of every action, beside `input`.

    `members`: ids of `Wicket::Member`; `groups` and `tags`: labels that members have. `targets`:
    those of the calls of 7 days, newest first, at most 200; their ids are arguments of members:
    not safe to show.
    """

    services: tuple[ServiceName, ...]
    types: tuple[EntityType, ...]
    context: tuple[Attribute, ...]
    tools: tuple[ToolName, ...]
    members: tuple[str, ...]
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    targets: tuple[TargetName, ...] = ()
