"""Domain values to contract structs, one function a type: the only bridge between the two.

Siblings: `catalogue_mapping` for connectors, services and tools, `audit_mapping` for the audit.
Times leave as ISO 8601 in UTC with milliseconds, hashes as hex. Nothing secret has a function here.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from wicketd.api.types import agents as wire_agents
from wicketd.api.types import connections as wire_connections
from wicketd.api.types import members as wire_members
from wicketd.api.types import policies as wire_policies
from wicketd.api.types import sessions as wire_sessions
from wicketd.domain.agents import Agent, SessionScope, Trust
from wicketd.domain.connections import Connection
from wicketd.domain.errors import Invalid
from wicketd.domain.ids import PolicyId
from wicketd.domain.members import Member, MemberKey, MemberState, Role
from wicketd.domain.policies import Mode, PolicyVersion, Problem
from wicketd.domain.sessions import ToolSession
from wicketd.services.agents import AgentChanges, AgentFields
from wicketd.services.members import MemberChanges, MemberFields
from wicketd.services.policies import PolicyChanges, PolicyFields, Saved
from wicketd.services.watching import Watched
from wicketd.storage.policies import RevisionRow

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS: Final = 24 * 3600 * 1000


def iso(at_ms: int) -> str:
    """Milliseconds since 1970 as `2026-01-31T12:00:00.000Z`."""
    text = (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def iso_or_none(at_ms: int | None) -> str | None:
    """The same for a time that may be absent."""
    return None if at_ms is None else iso(at_ms)


def millis(text: str) -> int:
    """ISO 8601 as milliseconds since 1970; without a zone it is UTC.

    Raises:
        Invalid: it is no such text.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text[:40]!r} is no time. Write it like 2026-01-31T12:00:00Z."
        raise Invalid(message) from error
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return (at - _EPOCH) // timedelta(milliseconds=1)


def agent(value: Agent) -> wire_agents.Agent:
    """An agent."""
    return wire_agents.Agent(
        id=value.id,
        key=value.key,
        name=value.name,
        status=value.status.value,
        disabled_reason=value.disabled_reason,
        trust=value.trust.value,
        tz=value.tz,
        session_scope=value.session_scope.value,
        policy_revision=value.policy_revision,
        tags=value.tags,
        created_by=value.created_by,
        created_at=iso(value.created_at),
        deleted_at=iso_or_none(value.deleted_at),
        rev=value.rev,
    )


def agent_fields(asked: wire_agents.AgentCreate) -> AgentFields:
    """What a new agent is to be."""
    scope = asked.session_scope
    return AgentFields(
        key=asked.key,
        name=asked.name,
        trust=Trust(asked.trust),
        tz=asked.tz,
        tags=asked.tags,
        session_scope=None if scope is None else SessionScope(scope),
    )


def agent_changes(asked: wire_agents.AgentUpdate) -> AgentChanges:
    """What is to change of an agent."""
    scope = asked.session_scope
    return AgentChanges(
        name=given(asked.name),
        tz=given(asked.tz),
        tags=given(asked.tags),
        session_scope=None if scope is UNSET else SessionScope(scope),
    )


def member_fields(asked: wire_members.MemberAdd) -> MemberFields:
    """What a new local member is to be."""
    return MemberFields(
        name=asked.name, role=Role(asked.role), groups=asked.groups, tags=asked.tags
    )


def member_changes(asked: wire_members.MemberUpdate) -> MemberChanges:
    """What is to change of a member."""
    return MemberChanges(
        role=None if asked.role is UNSET else Role(asked.role),
        groups=given(asked.groups),
        tags=given(asked.tags),
    )


def given(value: T | UnsetType) -> T | None:
    """A field's value, None where the request leaves it as it is."""
    return None if isinstance(value, UnsetType) else value


def member_key(value: MemberKey) -> wire_members.MemberKey:
    """What is known of a member key; never the verifier."""
    day = value.last_used_day
    return wire_members.MemberKey(
        key_id=value.key_id,
        agent_id=value.agent_id,
        member_id=value.member_id,
        state=value.state.value,
        created_at=iso(value.created_at),
        last_used_day=None if day is None else iso(day * _DAY_MS)[:10],
        ended_at=iso_or_none(value.ended_at),
        ended_reason=value.ended_reason,
        ended_by=value.ended_by,
    )


def member(
    value: Member,
    key: MemberKey | None,
    connections: Iterable[wire_connections.Connection] = (),
    *,
    totp: bool | None = None,
) -> wire_members.Member:
    """A member with its active key, its connections and whether a second factor is enrolled."""
    return wire_members.Member(
        id=value.id,
        agent_id=value.agent_id,
        email=value.email,
        local_name=value.local_name,
        principal=value.principal,
        role=value.role.value,
        state=value.state.value,
        state_at=iso(value.state_at),
        state_by=value.state_by,
        groups=value.groups,
        tags=value.tags,
        created_at=iso(value.created_at),
        rev=value.rev,
        key=None if key is None else member_key(key),
        connections=tuple(connections),
        totp=totp,
        next_step=_next_step(value, key),
    )


def connection(
    value: Connection, *, service: str | None, member: str | None
) -> wire_connections.Connection:
    """A connection's metadata. `service`: its key; `member`: the principal."""
    return wire_connections.Connection(
        id=value.id,
        agent_id=value.agent_id,
        member_id=value.member_id,
        service_id=value.service_id,
        service=service,
        member=member,
        state=value.state.value,
        origin=value.destination.origin,
        placement=value.destination.placement,
        account_label=value.account_label,
        pending_expires_at=iso_or_none(value.pending_expires_at),
        generation=value.generation,
        last_used_at=iso_or_none(value.last_used_at),
        error=value.error,
        created_at=iso(value.created_at),
        updated_at=iso(value.updated_at),
        rev=value.rev,
    )


def watched(value: Watched) -> wire_policies.Watched:
    """What a policy in shadow mode would have changed."""
    return wire_policies.Watched(
        since=iso(value.since_ms), allow_deny=value.allow_deny, deny_allow=value.deny_allow
    )


def policy_version(
    value: PolicyVersion, flips: Mapping[PolicyId, Watched] | None = None
) -> wire_policies.PolicyVersion:
    """One version of a policy; with its flips where it is watched."""
    found = None if flips is None else flips.get(value.policy_id)
    return wire_policies.PolicyVersion(
        policy_id=value.policy_id,
        key=value.key,
        name=value.name,
        version=value.version,
        text=value.text,
        sha256=value.sha256.hex(),
        enabled=value.enabled,
        mode=value.mode.value,
        scope=value.scope_member_id,
        statements=value.statements,
        cause=value.cause.value,
        note=value.note,
        rolled_back_from=value.rolled_back_from,
        created_by=value.created_by,
        created_at=iso(value.created_at),
        watched=None if found is None else watched(found),
    )


def policy_fields(asked: wire_policies.PolicyCreate) -> PolicyFields:
    """What a new policy is to be."""
    return PolicyFields(
        name=asked.name,
        text=asked.text,
        key=asked.key,
        enabled=asked.enabled,
        mode=Mode(asked.mode),
        scope_member=asked.scope,
        note=asked.note,
    )


def policy_changes(asked: wire_policies.PolicySave) -> PolicyChanges:
    """What a save is to change."""
    return PolicyChanges(name=given(asked.name), text=given(asked.text), note=asked.note)


def policy_saved(value: Saved) -> wire_policies.PolicySaved:
    """A written version under the agent's new revision."""
    return wire_policies.PolicySaved(
        version=policy_version(value.version), policy_revision=value.revision
    )


def revision(value: RevisionRow) -> wire_policies.Revision:
    """One revision of a set; its seal stays here."""
    manifest = msgspec.json.decode(value.manifest, type=list[tuple[str, int]])
    return wire_policies.Revision(
        revision=value.revision,
        manifest=tuple(
            wire_policies.ManifestItem(policy=key, version=version) for key, version in manifest
        ),
        set_sha256=value.set_sha256.hex(),
        schema_sha256=value.schema_sha256.hex(),
        cause=value.cause.value,
        actor=value.actor,
        at=iso(value.at),
    )


def problem(value: Problem) -> wire_policies.Problem:
    """One finding of a check."""
    return wire_policies.Problem(
        severity=value.severity,
        code=value.code,
        message=value.message,
        engine_message=value.engine_message,
        start=value.start,
        end=value.end,
        line=value.line,
        col=value.col,
        statement=value.statement,
        approximate=value.approximate,
        fix=value.fix,
    )


def session(value: ToolSession, member: str | None) -> wire_sessions.Session:
    """A tool session; used tools are named `service:tool`, as the hosted product does."""
    return wire_sessions.Session(
        id=value.id,
        agent_id=value.agent_id,
        member_id=value.member_id,
        member=member,
        agent_type=value.client_name,
        external_session_id=value.external_id,
        is_active=value.terminated_at is None,
        created_at=iso(value.created_at),
        last_activity_at=iso(value.last_activity_at),
        tools_used={name.replace("__", ":", 1): n for name, n in value.tools.items()},
        policies_allow_counts=dict(value.allow_counts),
        policies_deny_counts=dict(value.deny_counts),
        calls=value.calls,
        denials=value.denials,
        terminated_at=iso_or_none(value.terminated_at),
        terminated_reason=None
        if value.terminated_reason is None
        else value.terminated_reason.value,
    )


def _next_step(value: Member, key: MemberKey | None) -> str:
    if value.state is MemberState.APPROVED:
        return "" if key is not None else "key"
    return {MemberState.INVITED: "accept", MemberState.PENDING: "approve"}.get(value.state, "")
