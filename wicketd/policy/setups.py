"""Policy sets on their way into the policy child: what it needs to compile and decide with them.

Counterparts: `services.rehearsals` makes setups, `policy.simulate` and `policy.replay` work with
them. Invariant: pure data; tools and records carry what deciding reads, nothing that a child must
not have.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from wicketd.domain.agents import Agent
from wicketd.domain.catalogue import ServiceView, TargetRule, Tier, TierSource, Tool, ToolStatus
from wicketd.domain.ids import MemberId, PolicyId, PolicyRevision
from wicketd.domain.policies import Cause, Mode, PolicyVersion, Reason
from wicketd.policy import engine
from wicketd.policy.engine import Snapshot
from wicketd.policy.entities import Uid
from wicketd.policy.schema import render

DRAFT_VERSION: Final = 0
"""The version of a text that is not saved."""


class ToolFacts(msgspec.Struct, frozen=True):
    """What the schema reads of a tool."""

    name: str
    definition: dict[str, Any] | None
    tier: Tier
    status: ToolStatus


class ServiceFacts(msgspec.Struct, frozen=True):
    """A `ServiceView` on the wire."""

    key: str
    namespace: str
    tools: tuple[ToolFacts, ...]
    targets: tuple[TargetRule, ...]
    gone_but_named: tuple[str, ...]

    def view(self) -> ServiceView:
        """The same as the daemon's value."""
        tools = tuple(
            Tool(one.name, one.definition, None, one.tier, TierSource.ANNOTATIONS, None, one.status)
            for one in self.tools
        )
        return ServiceView(self.key, self.namespace, tools, self.targets, self.gone_but_named)


class RecordFacts(msgspec.Struct, frozen=True):
    """What compiling reads of a `PolicyVersion`."""

    policy_id: str
    key: str
    version: int
    text: str
    enabled: bool
    mode: Mode
    scope: str | None

    def version_of(self, agent: Agent) -> PolicyVersion:
        """The same as the daemon's value, as far as compiling reads it."""
        return PolicyVersion(
            policy_id=PolicyId(self.policy_id),
            agent_id=agent.id,
            key=self.key,
            scope_member_id=None if self.scope is None else MemberId(self.scope),
            version=self.version,
            name=self.key,
            text=self.text,
            sha256=b"",
            enabled=self.enabled,
            mode=self.mode,
            statements=0,
            projection={},
            cause=Cause.SAVE,
            note=None,
            rolled_back_from=None,
            created_by="",
            created_at=0,
        )


class Blocked(msgspec.Struct, frozen=True):
    """An action that is denied whatever the policies say."""

    action: tuple[str, str]
    reason: Reason


class Setup(msgspec.Struct, frozen=True):
    """One agent, its tools, and the sets to decide under, in an order that its maker knows.

    `strict`: arguments that no policy names are held to their type too (policy spec, E12).
    """

    agent: Agent
    services: tuple[ServiceFacts, ...]
    sets: tuple[tuple[RecordFacts, ...], ...]
    blocked: tuple[Blocked, ...]
    strict: bool

    def compiled(self) -> list[Snapshot]:
        """Each set compiled, under one schema; on a thread with a big stack.

        Raises:
            PolicyInvalid: a text is refused, or a set is over its caps.
            ValueError: the engine rejects the schema.
        """
        schema = render([one.view() for one in self.services])
        blocked = {one.action: one.reason for one in self.blocked}
        made: list[Snapshot] = []
        for records in self.sets:
            versions = [one.version_of(self.agent) for one in records]
            previous = made[-1] if made else None
            snapshot = engine.compile_set(
                self.agent.key, versions, schema, PolicyRevision(0), previous=previous
            )
            made.append(snapshot.with_blocked(blocked))
        return made


def setup(
    agent: Agent,
    views: Iterable[ServiceView],
    sets: Sequence[Iterable[PolicyVersion]],
    blocked: Mapping[Uid, Reason],
    *,
    strict: bool,
) -> Setup:
    """The wire form of sets; records that are off stay behind."""
    return Setup(
        agent,
        tuple(map(service_of, views)),
        tuple(tuple(record_of(one) for one in records if one.enabled) for records in sets),
        tuple(Blocked(action, reason) for action, reason in blocked.items()),
        strict,
    )


def service_of(view: ServiceView) -> ServiceFacts:
    """The wire form of a service."""
    tools = tuple(ToolFacts(one.name, one.definition, one.tier, one.status) for one in view.tools)
    return ServiceFacts(view.key, view.namespace, tools, view.targets, view.gone_but_named)


def record_of(one: PolicyVersion) -> RecordFacts:
    """The wire form of a record."""
    return RecordFacts(
        one.policy_id, one.key, one.version, one.text, one.enabled, one.mode, one.scope_member_id
    )
