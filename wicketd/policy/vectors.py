"""Twelve requests whose answers are known: what every start decides first (policy spec, 3.2).

Counterpart of `policy.selftest`. Invariant: each vector fails on an engine that gets one thing
wrong.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from wicketd.domain.agents import Agent, AgentStatus, SessionScope, Trust
from wicketd.domain.catalogue import ServiceView, Target, TargetRule, Tier, TierSource, Tool
from wicketd.domain.ids import AgentId, MemberId, PolicyId, PolicyRevision, Revision
from wicketd.domain.json import Json
from wicketd.domain.members import Member, MemberState, Role
from wicketd.domain.policies import Cause, Mode, PolicyVersion
from wicketd.domain.sessions import SessionFacts
from wicketd.policy.decisions import PolicyRequest
from wicketd.policy.encode import Encoded
from wicketd.policy.schema import CedarSchema, render

SERVICE: Final = "test"
AT_MS: Final = 1_767_225_600_000
"""2026-01-01 00:00 UTC, a Thursday."""

AGENT: Final = Agent(
    id=AgentId("00000000-0000-7000-8000-000000000001"),
    key="self-test",
    name="Self test",
    status=AgentStatus.ACTIVE,
    disabled_reason=None,
    trust=Trust.TRUSTED,
    tz="UTC",
    session_scope=SessionScope.KEY,
    policy_revision=PolicyRevision(1),
    tags=(),
    created_by="system",
    created_at=0,
    deleted_at=None,
    rev=Revision(1),
)
MEMBER: Final = Member(
    id=MemberId("00000000-0000-7000-8000-000000000002"),
    agent_id=AGENT.id,
    account_id=None,
    email=None,
    local_name="tester",
    role=Role.MEMBER,
    state=MemberState.APPROVED,
    state_at=0,
    state_by="system",
    groups=("testers",),
    tags=("blue",),
    created_at=0,
    rev=Revision(1),
)


@dataclass(frozen=True, slots=True)
class Vector:
    """`text` decides a call of `tool` with `input`; `expected`: a Reason, or listed or hidden."""

    name: str
    text: str
    expected: str
    tool: str = "pay"
    amount: str = "1.5000"
    is_listing: bool = False
    breaks_schema: bool = False


def schema() -> CedarSchema:
    """One service.

    A read tool with a typed argument, and a destructive one with a mapped resource.
    """
    properties: Json = {"amount": {"type": "number"}, "note": {"type": "string"}}
    pay = Tool(
        name="pay",
        definition={"name": "pay", "inputSchema": {"type": "object", "properties": properties}},
        hash=None,
        tier=Tier.READ,
        tier_source=TierSource.DEFAULT,
    )
    drop = Tool("drop", None, None, Tier.DESTRUCTIVE, TierSource.DEFAULT)
    rule = TargetRule(entity="Box", tools=("drop",), id="{box}", pattern=".+")
    return render([ServiceView(SERVICE, "TestMCP", (pay, drop), (rule,))])


def record(text: str) -> PolicyVersion:
    """An enforced, agent-wide record of that text."""
    return PolicyVersion(
        policy_id=PolicyId("00000000-0000-7000-8000-000000000003"),
        agent_id=AGENT.id,
        key="vector",
        scope_member_id=None,
        version=1,
        name="Vector",
        text=text,
        sha256=hashlib.sha256(text.encode()).digest(),
        enabled=True,
        mode=Mode.ENFORCE,
        statements=0,
        projection={},
        cause=Cause.CREATE,
        note=None,
        rolled_back_from=None,
        created_by="system",
        created_at=0,
    )


def request(vector: Vector) -> PolicyRequest:
    """The vector's call, by a local member from 10.1.2.3 at `AT_MS`."""
    amount: Json = {"__extn": {"fn": "decimal", "arg": vector.amount}}
    is_mapped = vector.tool == "drop"
    return PolicyRequest(
        agent=AGENT,
        member=MEMBER,
        service=SERVICE,
        name=vector.tool,
        input=Encoded({} if is_mapped else {"amount": 1.5 if vector.breaks_schema else amount}, ()),
        at_ms=AT_MS,
        session=SessionFacts(calls=2, denials=0, tools=("test__pay",), age_seconds=60),
        ip="::ffff:10.1.2.3",
        target=Target("TestMCP::Box", "b1", {}, ()) if is_mapped else None,
    )


_ALL: Final = "permit (principal, action, resource);"
_SERVICE: Final = 'forbid (principal, action, resource in Wicket::Service::"test");'


def vectors() -> tuple[Vector, ...]:
    """The vectors, in the order in which they are decided."""
    return (
        Vector("allow", _ALL, "permitted"),
        Vector("default", _permit_on("write"), "no_permit"),
        Vector("tier", f"{_ALL} {_forbid_on('destructive')}", "forbidden", "drop"),
        Vector("service", f"{_ALL} {_SERVICE}", "forbidden", "drop"),
        Vector("group", _ALL.replace("l,", 'l in Wicket::Group::"testers",'), "permitted"),
        Vector(
            "error",
            _allowed_unless("context.session.calls + 9223372036854775807 > 0"),
            "engine_error",
        ),
        Vector("undecided", _ALL, "engine_error", breaks_schema=True),
        Vector("decimal", _allowed_unless(_amount_over("1.4999")), "forbidden"),
        Vector(
            "ip", _allowed_unless('!context.network.ip.isInRange(ip("10.0.0.0/8"))'), "permitted"
        ),
        Vector("time", _allowed_unless("context.time.weekday != 4"), "permitted"),
        Vector("partial", f"{_ALL} {_SERVICE}", "hidden", "drop", is_listing=True),
        Vector(
            "residual", _allowed_unless("context.session.denials > 3"), "listed", is_listing=True
        ),
    )


def _permit_on(tier: str) -> str:
    return f'permit (principal, action in Wicket::Action::"{tier}", resource);'


def _forbid_on(tier: str) -> str:
    return f'forbid (principal, action in Wicket::Action::"{tier}", resource);'


def _allowed_unless(condition: str) -> str:
    pay = 'action == TestMCP::Action::"pay"'
    return f"{_ALL} forbid (principal, {pay}, resource) when {{ {condition} }};"


def _amount_over(limit: str) -> str:
    return f'context.input has amount && context.input.amount.greaterThan(decimal("{limit}"))'
