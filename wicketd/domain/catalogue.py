"""Services and tools.

What a connector file declares, what a server listed, which tier each tool has.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from wicketd.domain.ids import AgentId, Revision, ServiceId
from wicketd.domain.json import JsonObject
from wicketd.domain.lifecycle import Edge


class Tier(StrEnum):
    """How much harm a tool can do; the group actions of the Cedar schema."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


class TierSource(StrEnum):
    """Where a tier comes from, strongest first."""

    OVERRIDE = "override"
    CATALOGUE = "catalogue"
    ANNOTATIONS = "annotations"
    DEFAULT = "default"


class ToolStatus(StrEnum):
    """Excluded and gone tools are kept for the audit and never called."""

    ACTIVE = "active"
    EXCLUDED = "excluded"
    GONE = "gone"


class CredentialKind(StrEnum):
    """How a member signs in to the upstream."""

    OAUTH = "oauth"
    STATIC = "static"
    NONE = "none"


class Listing(StrEnum):
    """What a server lists; the value is the member of the result that holds the items."""

    TOOLS = "tools"
    PROMPTS = "prompts"
    RESOURCES = "resources"
    TEMPLATES = "resourceTemplates"

    @property
    def method(self) -> str:
        """The method that asks for it."""
        return "resources/templates/list" if self is Listing.TEMPLATES else f"{self.value}/list"

    @property
    def key(self) -> str:
        """The field of an item that names it."""
        return {Listing.RESOURCES: "uri", Listing.TEMPLATES: "uriTemplate"}.get(self, "name")


class UpstreamEra(StrEnum):
    """What the era probe found (protocol spec, 4.2)."""

    LEGACY = "legacy"
    MODERN = "modern"
    INCOMPATIBLE = "incompatible"


@dataclass(frozen=True, slots=True)
class HttpTransport:
    """A Streamable HTTP upstream.

    `allow_networks`: CIDR texts opened for this very host and port.
    """

    url: str
    allow_networks: tuple[str, ...] = ()
    insecure_http: bool = False


@dataclass(frozen=True, slots=True)
class StdioTransport:
    """An upstream that speaks over the pipes of a process or a systemd socket."""

    command: tuple[str, ...] = ()
    socket: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    scope: str = "member"


@dataclass(frozen=True, slots=True)
class CredentialRule:
    """Where the credential goes.

    Static over HTTP: `header` and `format` with `{token}`; stdio: `env`.
    """

    kind: CredentialKind
    header: str | None = None
    format: str = "{token}"
    env: str | None = None
    hint_url: str | None = None


@dataclass(frozen=True, slots=True)
class TargetRule:
    """Maps arguments to a Cedar resource (policy spec, 1.5).

    `id` holds `{argument}` placeholders.
    """

    entity: str
    tools: tuple[str, ...]
    id: str
    pattern: str
    excluded: tuple[str, ...] = ()
    fold: str | None = None
    attrs: Mapping[str, str] = field(default_factory=dict)
    parents: tuple[tuple[str, str], ...] = ()
    """(entity, id template) pairs in the same namespace."""
    optional: bool = False

    @property
    def arguments(self) -> frozenset[str]:
        """The arguments that `id` is made of."""
        return frozenset(re.findall(r"\{([^{}]+)\}", self.id))

    def covers(self, tool_name: str, required: frozenset[str]) -> bool:
        """Whether it maps the tool: named, or `"*"` and the tool requires all of `arguments`."""
        if tool_name in self.excluded:
            return False
        return tool_name in self.tools or ("*" in self.tools and self.arguments <= required)


def target_rule(
    rules: Sequence[TargetRule], tool_name: str, required: frozenset[str]
) -> TargetRule | None:
    """The one rule of a tool: the first that names it, else the first that covers it by `"*"`.

    Source: policy spec 1.5; the schema's resource types and the mapping of a call must agree on it.
    """
    covering = [rule for rule in rules if rule.covers(tool_name, required)]
    named = [rule for rule in covering if tool_name in rule.tools]
    return next(iter(named or covering), None)


def required_arguments(definition: JsonObject | None) -> frozenset[str]:
    """The names a tool's inputSchema lists as required."""
    schema = (definition or {}).get("inputSchema")
    required = schema.get("required") if isinstance(schema, dict) else None
    if not isinstance(required, list):
        return frozenset()
    return frozenset(name for name in required if isinstance(name, str))


@dataclass(frozen=True, slots=True)
class TierRules:
    """The `[tools]` table. `rest`: "annotations" or "read"."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    destructive: tuple[str, ...] = ()
    rest: str = "annotations"

    def declared(self) -> dict[str, Tier]:
        """Names the file lists, with their tier."""
        lists = (
            (Tier.READ, self.read),
            (Tier.WRITE, self.write),
            (Tier.DESTRUCTIVE, self.destructive),
        )
        return {name: tier for tier, names in lists for name in names}


@dataclass(frozen=True, slots=True)
class Limits:
    """Deadlines and caps of one upstream; `timeout_max_s` is the whole call's."""

    timeout_s: int = 30
    max_result_bytes: int = 16 * 1024 * 1024

    @property
    def timeout_max_s(self) -> int:
        """300 s, or the connector's own timeout doubled (protocol spec, 4.5)."""
        return max(300, 2 * self.timeout_s)


@dataclass(frozen=True, slots=True)
class Connector:
    """One connector file (product spec, section 6). `sha256` is of the file's bytes, hex."""

    key: str
    name: str
    namespace: str
    transport: HttpTransport | StdioTransport
    credential: CredentialRule
    tools: TierRules
    sha256: str
    source: str
    """"bundled" or the path of the admin's file."""
    targets: tuple[TargetRule, ...] = ()
    limits: Limits = Limits()
    audit_show: tuple[str, ...] = ()
    revoke_url: str | None = None
    oauth: Mapping[str, object] = field(default_factory=dict)
    relay: tuple[str, ...] = ("elicitation.form", "logging", "progress")
    forward_meta: tuple[str, ...] = ()
    instructions: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool of a service as stored.

    `definition` is the server's own JSON; None while only declared.
    """

    name: str
    definition: JsonObject | None
    hash: str | None
    tier: Tier
    tier_source: TierSource
    override_tier: Tier | None = None
    status: ToolStatus = ToolStatus.ACTIVE
    exclude_reason: str | None = None
    acked_hash: str | None = None
    first_seen_at: int = 0
    last_seen_at: int = 0


class ServiceState(StrEnum):
    """Whether an enabled connector serves this agent."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    REMOVED = "removed"


SERVICE_EDGES: Final = (
    Edge(None, ServiceState.ENABLED, "enable", "service.enabled"),
    Edge(ServiceState.DISABLED, ServiceState.ENABLED, "enable", "service.enabled"),
    Edge(ServiceState.ENABLED, ServiceState.DISABLED, "disable", "service.disabled"),
    Edge(ServiceState.DISABLED, ServiceState.REMOVED, "remove", "service.removed"),
)


@dataclass(frozen=True, slots=True)
class Service:
    """A connector enabled on an agent, with what discovery stored."""

    id: ServiceId
    agent_id: AgentId
    key: str
    connector_sha256: str
    state: ServiceState
    catalogue: str
    """"declared" or "discovered"."""
    era: UpstreamEra | None
    era_at: int | None
    tools_hash: str | None
    discovered_at: int | None
    drift: str
    """"clean" or "flagged"."""
    last_error: str | None
    created_at: int
    rev: Revision
    has_app: bool = False
    """There is a client for sign-ins; `storage.app_credentials` alone writes it."""
    secret_set_at: int | None = None


@dataclass(frozen=True, slots=True)
class ServiceView:
    """What policy and proxy see of one enabled service.

    Key, Cedar namespace, tools and target rules.
    """

    key: str
    namespace: str
    tools: tuple[Tool, ...]
    targets: tuple[TargetRule, ...] = ()
    gone_but_named: tuple[str, ...] = ()
    """Gone tools that a live policy names; they stay in the schema (policy spec, V8)."""
    is_enabled: bool = True
    """A disabled service stays in the schema, so that policies keep meaning; no call passes."""


@dataclass(frozen=True, slots=True)
class Target:
    """A mapped Cedar resource.

    Full type name, folded id, attributes, parents as (full type, id).
    """

    type: str
    id: str
    attrs: Mapping[str, str]
    parents: tuple[tuple[str, str], ...]
