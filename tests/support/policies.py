"""Builders of catalogues, records and calls for policy tests."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wicketd.domain.agents import Agent
from wicketd.domain.catalogue import (
    ServiceView,
    Target,
    TargetRule,
    Tier,
    TierSource,
    Tool,
    ToolStatus,
)
from wicketd.domain.ids import MemberId, PolicyId, PolicyRevision
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.members import Member
from wicketd.domain.policies import Decision, Mode, PolicyVersion
from wicketd.domain.sessions import SessionFacts
from wicketd.policy import engine, vectors
from wicketd.policy.decisions import PolicyRequest
from wicketd.policy.encode import Encoded, arguments
from wicketd.policy.schema import CedarSchema, render

NEW_YEAR_MS = 1_767_225_600_000
"""2026-01-01 00:00 UTC, a Thursday."""
REPOSITORY = TargetRule(
    entity="Repository",
    tools=("*",),
    id="{owner}/{repo}",
    pattern="[A-Za-z0-9._-]{1,100}",
    fold="lower",
    attrs={"owner": "{owner}", "name": "{repo}"},
    parents=(("Owner", "{owner}"),),
)


def make_tool(
    name: str,
    tier: Tier = Tier.READ,
    properties: Mapping[str, Json] | None = None,
    required: Sequence[str] = (),
    annotations: JsonObject | None = None,
    status: ToolStatus = ToolStatus.ACTIVE,
) -> Tool:
    """A discovered tool."""
    schema: JsonObject = {"type": "object", "properties": dict(properties or {})}
    if required:
        schema["required"] = list(required)
    definition: JsonObject = {"name": name, "inputSchema": schema}
    if annotations is not None:
        definition["annotations"] = annotations
    return Tool(name, definition, "hash", tier, TierSource.ANNOTATIONS, status=status)


def strings(*names: str) -> dict[str, Json]:
    """Properties of type string."""
    return {name: {"type": "string"} for name in names}


def github() -> ServiceView:
    """The first service of the golden schema (policy spec, 1.1)."""
    page: dict[str, Json] = {"page": {"type": "integer"}, "query": {"type": "string"}}
    places = strings("owner", "repo")
    return ServiceView(
        key="github",
        namespace="GitHubMCP",
        tools=(
            make_tool("search_repositories", Tier.READ, page),
            make_tool(
                "delete_file",
                Tier.DESTRUCTIVE,
                {**strings("path", "branch"), **places},
                required=("owner", "repo"),
            ),
            make_tool("search_code", Tier.READ, {**page, **places}),
        ),
        targets=(REPOSITORY, replace(REPOSITORY, tools=("search_code",), optional=True)),
    )


def ops() -> ServiceView:
    """The second service of the golden schema."""
    options: Json = {
        "type": "object",
        "properties": {"if": {"type": "string"}, "dry_run": {"type": "boolean"}},
    }
    run: dict[str, Json] = {
        "env": {"type": "string"},
        "budget": {"type": "number"},
        "hosts": {"type": "array", "items": {"type": "string"}},
        "options": options,
    }
    query: dict[str, Json] = {"sql": {"type": "string"}, "max-rows": {"type": "integer"}}
    return ServiceView(
        key="ops",
        namespace="OpsMCP",
        tools=(
            make_tool("status"),
            make_tool("deploy.run", Tier.DESTRUCTIVE, run),
            make_tool("db-query", Tier.READ, query),
        ),
    )


def make_record(
    text: str,
    key: str = "policy",
    mode: Mode = Mode.ENFORCE,
    scope: str | None = None,
    enabled: bool = True,
) -> PolicyVersion:
    """A current version of a record."""
    return replace(
        vectors.record(text),
        policy_id=PolicyId(f"id-{key}"),
        key=key,
        mode=mode,
        enabled=enabled,
        scope_member_id=MemberId(scope) if scope is not None else None,
        sha256=hashlib.sha256(text.encode()).digest(),
    )


@dataclass(frozen=True, slots=True)
class World:
    """A catalogue, a member and an agent to decide calls in."""

    schema: CedarSchema
    agent: Agent = vectors.AGENT
    member: Member = vectors.MEMBER
    facts: SessionFacts = field(default_factory=lambda: SessionFacts(0, 0, (), 0))

    def snapshot(self, *records: PolicyVersion | str) -> engine.Snapshot:
        """Compiles records, or texts as agent-wide records."""
        made = [
            make_record(one, f"policy-{n}") if isinstance(one, str) else one
            for n, one in enumerate(records)
        ]
        return engine.compile_set(self.agent.key, made, self.schema, PolicyRevision(7))

    def request(
        self,
        service: str,
        tool: str,
        arguments_: JsonObject | None = None,
        target: Target | None = None,
        at_ms: int = NEW_YEAR_MS,
        ip: str | None = "10.0.0.1",
    ) -> PolicyRequest:
        """A call with its arguments encoded strictly."""
        shape = self.schema.shapes[service, tool]
        encoded = arguments(arguments_ or {}, shape.input, named=None, strict=True)
        assert isinstance(encoded, Encoded), encoded
        return PolicyRequest(
            self.agent, self.member, service, tool, encoded, at_ms, self.facts, ip, target
        )

    def decide(self, snapshot: engine.Snapshot, request: PolicyRequest) -> Decision:
        """Decides it."""
        return engine.decide(snapshot, request)


def two_services() -> CedarSchema:
    """The catalogue of the golden schema."""
    return render([ops(), github()])


def world() -> World:
    """A trusted agent over that catalogue."""
    return World(two_services())
