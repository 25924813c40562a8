"""The connector catalogue and the services of an agent on the wire."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from wicketd.api.types.listing import Paged

Tier = Literal["read", "write", "destructive"]
Allow = Literal["read", "write", "all"]


class Connector(Struct, frozen=True, kw_only=True):
    """One connector file. `source`: "bundled" or its path; `sha256`: of its bytes, hex."""

    key: str
    name: str
    namespace: str
    transport: str
    """"streamable-http" or "stdio"."""
    address: str
    """URL, or command line of the server."""
    credential: str
    hint_url: str | None
    source: str
    sha256: str
    read: tuple[str, ...]
    write: tuple[str, ...]
    destructive: tuple[str, ...]
    rest: str
    targets: tuple[str, ...]
    """Entity types that arguments map to, with their namespace."""


class CatalogueList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The connectors this daemon knows."""


class CatalogueRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`key`: the connector's key."""

    key: str


class CatalogueChange(Struct, frozen=True, kw_only=True):
    """What a reload changed, one row a connector."""

    key: str
    change: str


class CatalogueReloaded(Struct, frozen=True, kw_only=True):
    """The difference between the old and the new catalogue."""

    changes: tuple[CatalogueChange, ...]


class Service(Struct, frozen=True, kw_only=True):
    """A connector enabled on an agent. `tools` counts tools by tier, `connections` by state."""

    id: str
    key: str
    name: str | None
    state: str
    catalogue: str
    credential: str | None
    era: str | None
    drift: str
    last_error: str | None
    discovered_at: str | None
    callback_url: str | None
    secret_set_at: str | None
    tools: dict[str, int]
    connections: dict[str, int]
    created_at: str
    rev: int


class ServiceList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The services of an agent."""

    agent: str


class ServiceRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`service`: the connector's key."""

    agent: str
    service: str


class ServicePut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Turns a service on or off.

    `dry_run` only reports; `strict_names` refuses instead of excluding.

    `allow`: the tiers up to which the baseline policy goes, with prompts and resources; None: tools
    of the read tier alone.
    """

    agent: str
    service: str
    enabled: bool = True
    dry_run: bool = False
    strict_names: bool = False
    allow: Allow | None = None


class ServiceRemove(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Disables a service; with `purge` removes a disabled one and destroys its connections."""

    agent: str
    service: str
    purge: bool = False


class Tool(Struct, frozen=True, kw_only=True):
    """One tool as stored.

    `source` says where its tier comes from; `definition` is the server's own.
    """

    name: str
    tier: str
    source: str
    status: str
    hash: str | None
    acked_hash: str | None
    exclude_reason: str | None
    first_seen_at: str | None
    last_seen_at: str | None
    definition: dict[str, Any] | None


class ToolList(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tools of a service."""

    agent: str
    service: str


class Excluded(Struct, frozen=True, kw_only=True):
    """A tool that clients never see, and why."""

    tool: str
    reason: str


class BrokenPolicy(Struct, frozen=True, kw_only=True):
    """A live policy that the new catalogue breaks."""

    policy: str
    reason: str


class EnableReport(Struct, frozen=True, kw_only=True):
    """What enabling did, or with `dry_run` would do."""

    service: Service
    applied: bool
    tools: tuple[Tool, ...]
    excluded: tuple[Excluded, ...]
    broken: tuple[BrokenPolicy, ...]
    baselines: tuple[str, ...]
    """Keys of the baseline policies that were made."""
    baseline_text: str | None
    note: str | None


class Discover(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lists the server's tools now. `bearer` is a one-off token: used once, never stored."""

    agent: str
    service: str
    bearer: Annotated[str, Meta(min_length=1, max_length=8192)] | None = None


class Discovered(Struct, frozen=True, kw_only=True):
    """The difference to the stored tools."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    excluded: tuple[Excluded, ...]
    broken: tuple[BrokenPolicy, ...]
    total: int
    stale: tuple["StalePolicy", ...] = ()


class CredentialsPut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The OAuth app that an admin registered at the provider. Write-only: nothing returns it.

    `client_id`: 1 to 2,048 printable characters; `client_secret`: 1 to 4,096.
    """

    agent: str
    service: str
    client_id: str
    client_secret: str


class CredentialsKept(Struct, frozen=True, kw_only=True):
    """When the app was stored, and under which server key."""

    set_at: str
    kid: str


class TierSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Overrides a tool's tier; None takes the override back."""

    agent: str
    service: str
    tool: str
    tier: Tier | None


class Ack(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accepts a changed tool. `hash`: of the definition that was reviewed, hex."""

    agent: str
    service: str
    tool: str
    hash: str


class DriftChange(Struct, frozen=True, kw_only=True):
    """One open change of a tool."""

    tool: str
    kind: str
    at: str
    old_definition: dict[str, Any] | None
    new_definition: dict[str, Any] | None
    broken_policies: tuple[str, ...]


class TierChange(Struct, frozen=True, kw_only=True):
    """A tool, as `service__tool`, in another tier."""

    tool: str
    before: str
    after: str


class NewTool(Struct, frozen=True, kw_only=True):
    """A tool that was not there. `statements`: `policy#number` of those that match its calls."""

    tool: str
    tier: str
    statements: tuple[str, ...]


class StalePolicy(Struct, frozen=True, kw_only=True):
    """A policy that was written for other tools; calls of these are denied till a review."""

    policy: str
    tools: tuple[str, ...]


class MemberTools(Struct, frozen=True, kw_only=True):
    """What a member's tool list gains and loses, as `service__tool`."""

    member: str
    gains: tuple[str, ...]
    loses: tuple[str, ...]


class Drift(Struct, frozen=True, kw_only=True):
    """The changes that wait for a review, and what they mean since the last one.

    `members_left_out`: members whose lists were not compared, since there are too many.
    """

    drift: str
    changes: tuple[DriftChange, ...]
    stale: tuple[StalePolicy, ...] = ()
    broken: tuple[BrokenPolicy, ...] = ()
    tiers: tuple[TierChange, ...] = ()
    added: tuple[NewTool, ...] = ()
    lists: tuple[MemberTools, ...] = ()
    members_left_out: int = 0
