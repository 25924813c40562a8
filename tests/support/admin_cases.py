"""A request that succeeds for each row of the contract's table, with what it needs before."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.support.administered import Administered
from tests.support.calling import calling_over
from tests.support.state import ADMIN, tool
from wicketd.api.types import (
    accounts,
    agents,
    audit,
    connections,
    invites,
    members,
    policies,
    policy_sets,
    recipes,
    replays,
    services,
    simulations,
    status,
)
from wicketd.api.types import sessions as sessions_wire
from wicketd.api.types.listing import Empty
from wicketd.domain.accounts import WebSession
from wicketd.domain.agents import AgentStatus
from wicketd.domain.ids import AccountId, MemberId, Revision, ToolSessionId, WebSessionId
from wicketd.domain.members import Member, MemberState, Role
from wicketd.domain.ports import Statement
from wicketd.domain.sessions import ToolSession
from wicketd.services.replay import ReplayAsk
from wicketd.storage import members as member_rows
from wicketd.storage import sessions as session_rows
from wicketd.storage import web_sessions as web_session_rows
from wicketd.storage.audit import AuditFilters
from wicketd.vault.secret import Secret

FORBID: Final = "forbid (principal, action, resource);"
REF: Final = members.MemberRef(agent="demo", member="bob")
PENDING: Final = "pat@example.test"
ASKED: Final = "asked@example.test"
ACCOUNT: Final = accounts.AccountRef(account=ASKED)
SESSION: Final = "ts_" + "0" * 32

Prepare = Callable[[Administered], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """`request`: the value, or a function of what `prepare` gave; `revision`: its base."""

    request: Any
    prepare: Prepare | None = None
    revision: Callable[[Administered], Awaitable[int]] | None = None
    audit: tuple[str, ...] = ()
    """The kinds that exactly this request writes, in order."""


async def of_agent(there: Administered) -> int:
    """The agent's own revision."""
    return (await there.state.agents.get("demo")).rev


async def of_set(there: Administered) -> int:
    """The revision of the agent's policies."""
    return (await there.state.agents.get("demo")).policy_revision


async def of_member(there: Administered) -> int:
    """The member's revision."""
    return (await there.state.members.get("demo", "bob")).rev


async def of_service(there: Administered) -> int:
    """The service's revision."""
    return (await there.state.services.get("demo", "notes")).service.rev


async def disabled(there: Administered) -> None:
    """The agent is off."""
    await there.state.agents.set_status(ADMIN, "demo", AgentStatus.DISABLED)


async def service_off(there: Administered) -> None:
    """The service is off."""
    await there.state.services.disable(ADMIN, "demo", "notes")


async def listed(there: Administered) -> None:
    """The servers answer."""
    there.state.upstreams.lists["notes"] = [tool("search_notes")]
    there.state.upstreams.lists["open"] = [tool("look")]


async def changed(there: Administered) -> services.Ack:
    """A tool was discovered, then changed at its server."""
    await listed(there)
    await there.state.services.discover(ADMIN, "demo", "notes")
    there.state.upstreams.lists["notes"] = [tool("search_notes", text="string")]
    await there.state.services.discover(ADMIN, "demo", "notes")
    now = next(t for t in await there.state.services.tools("demo", "notes") if t.hash)
    return services.Ack(agent="demo", service="notes", tool=now.name, hash=now.hash or "")


async def keyed(there: Administered) -> members.KeyRevokeById:
    """The member has a key."""
    key, _ = await there.state.keys.issue(ADMIN, "demo", "bob")
    return members.KeyRevokeById(key_id=key.key_id)


async def connected(there: Administered) -> None:
    """The member has a connection."""
    await there.state.connections.set_static(ADMIN, "demo", "bob", "notes", b"token")


async def policy(there: Administered) -> None:
    """A live policy that is off."""
    await there.state.policies.create(ADMIN, "demo", name="Nothing", text=FORBID, enabled=False)


async def two_versions(there: Administered) -> None:
    """A policy with an older version."""
    await policy(there)
    expected = await of_set(there)
    text = f"// second\n{FORBID}"
    await there.state.policies.save(ADMIN, "demo", "nothing", expected=expected, text=text)


async def invited(there: Administered) -> None:
    """A member with an account waits for its approval."""
    state, now = there.state, there.state.clock.now_ms()
    agent = await state.agents.get("demo")
    account = AccountId("018f0000-0000-7000-8000-0000000000aa")
    pending = Member(
        id=MemberId("018f0000-0000-7000-8000-0000000000bb"),
        agent_id=agent.id,
        account_id=account,
        email=PENDING,
        local_name=None,
        role=Role.MEMBER,
        state=MemberState.PENDING,
        state_at=now,
        state_by="system",
        groups=(),
        tags=(),
        created_at=now,
        rev=Revision(1),
    )
    insert = Statement(
        "INSERT INTO accounts (id, email, status, mfa_failures, created_at, rev) "
        "VALUES (?, ?, 'active', 0, ?, 1)",
        (account, PENDING, now),
    )
    await state.db.write(lambda tx: (tx.run(insert), tx.run(member_rows.insert(pending))))


async def in_session(there: Administered) -> None:
    """A tool session runs."""
    state = there.state
    agent, member = await state.agents.get("demo"), await state.members.get("demo", "bob")
    key, _ = await state.keys.issue(ADMIN, "demo", "bob")
    running = ToolSession(
        id=ToolSessionId(SESSION),
        agent_id=agent.id,
        member_id=member.id,
        member_key_row=key.id,
        external_mac=b"m" * 32,
        external_id=None,
        id_source="fingerprint",
        client_name="test",
        client_version=None,
        created_at=state.clock.now_ms(),
        last_activity_at=state.clock.now_ms(),
    )
    await state.db.write(lambda tx: tx.run(session_rows.insert(running)))
    await there.uses.sessions.load()


async def newest_entry(there: Administered) -> audit.AuditRef:
    """The id of the newest audit row."""
    return audit.AuditRef(ref=(await there.state.rows())[-1].id)


async def recorded(there: Administered) -> audit.AuditReveal:
    """A decided call, whose arguments are asked for."""
    calling = calling_over(there.state)
    await calling.run(calling.call(await there.state.caller(), "search_notes", "notes"))
    return audit.AuditReveal(ref=(await there.state.rows())[-1].id, reason="incident 7")


async def asked_to_join(there: Administered) -> str:
    """An open invitation."""
    made = await there.uses.invites.create(ADMIN, "demo", email=ASKED)
    return made.invite.id


async def to_resend(there: Administered) -> invites.InviteResend:
    """The request that makes its link anew."""
    return invites.InviteResend(agent="demo", invite=await asked_to_join(there))


async def to_revoke(there: Administered) -> invites.InviteRef:
    """The request that takes it back."""
    return invites.InviteRef(agent="demo", invite=await asked_to_join(there))


async def signed_in(there: Administered) -> accounts.SessionRef:
    """The invited account has a web session."""
    await asked_to_join(there)
    account = (await there.uses.accounts.show(ASKED)).account
    now = there.state.clock.now_ms()
    session = WebSession(
        id=WebSessionId("018f0000-0000-7000-8000-0000000000cc"),
        account_id=account.id,
        created_at=now,
        last_seen_at=now,
        expires_at=now + 1000,
        mfa_at=None,
        ip="127.0.0.1",
        user_agent="test",
        revoked_at=None,
    )
    insert = web_session_rows.insert(session, b"m" * 32, "k1")
    await there.state.db.write(lambda tx: tx.run(insert))
    return accounts.SessionRef(account=ASKED, session=session.id)


async def replayed(there: Administered) -> str:
    """A replay of one call that a policy would deny is over."""
    await policy(there)
    calling = calling_over(there.state)
    await calling.run(calling.call(await there.state.caller(), "search_notes", "notes"))
    ask = ReplayAsk(AuditFilters(), policy="nothing")
    started = await there.uses.replays.start(ADMIN, "demo", ask)
    return (await there.uses.replays.wait(started.id, 60)).id


AT_P: Final = policies.PolicyRef(agent="demo", policy="nothing")
PINNED: Final = """
key = "pinned"
name = "Pinned"
transport = { kind = "streamable-http", url = "https://pinned.example.test/mcp" }
credential = { kind = "oauth" }
[oauth]
issuer = "https://as.example.test"
registration = "pre"
authorization_endpoint = "https://as.example.test/authorize"
token_endpoint = "https://as.example.test/token"
pkce = "unadvertised"
"""
AT_PINNED: Final = services.ServiceRef(agent="demo", service="pinned")


async def pinned(there: Administered) -> None:
    """A service with a sign-in at a provider that no test ever reaches."""
    there.state.connectors["pinned"] = PINNED
    there.state.files.put(there.state.catalogue())
    await there.state.service(key="pinned")


async def with_app(there: Administered) -> None:
    """The same with the app of an admin."""
    await pinned(there)
    rev = await of_pinned(there)
    secret = Secret(b"s3cret")
    await there.state.flows.apps.put(ADMIN, "demo", "pinned", "client", secret, expected=rev)


async def of_pinned(there: Administered) -> int:
    """The revision of that service."""
    return (await there.state.services.get("demo", "pinned")).service.rev


AT_S: Final = services.ServiceRef(agent="demo", service="notes")
AT_SESSION: Final = sessions_wire.SessionRef(agent="demo", session=SESSION)

CASES: Final[dict[str, Case]] = {
    "status": Case(Empty()),
    "whoami": Case(Empty()),
    "config": Case(Empty()),
    "keyring": Case(Empty()),
    "events": Case(status.EventsAsk(topics="agents", agent="demo")),
    "stats": Case(status.StatsAsk(since="7d", bucket="day")),
    "agent.stats": Case(status.AgentStatsAsk(agent="demo")),
    "agent.list": Case(agents.AgentList(q="DEM", sort="-created_at")),
    "agent.show": Case(agents.AgentRef(agent="demo")),
    "agent.create": Case(
        agents.AgentCreate(key="new", name="New"), audit=("agent.created", "policy.created")
    ),
    "agent.update": Case(
        agents.AgentUpdate(agent="demo", name="Demo 2"),
        revision=of_agent,
        audit=("agent.updated",),
    ),
    "agent.status": Case(
        agents.AgentStatusSet(agent="demo", status="disabled", reason="drill"),
        audit=("agent.disabled",),
    ),
    "agent.delete": Case(
        agents.AgentDelete(agent="demo", confirm="demo"),
        disabled,
        of_agent,
        ("agent.deleted",),
    ),
    "panic": Case(agents.Panic(reason="drill"), audit=("agent.disabled",)),
    "catalogue.list": Case(services.CatalogueList()),
    "catalogue.show": Case(services.CatalogueRef(key="notes")),
    "catalogue.reload": Case(Empty(), audit=("catalogue.reloaded",)),
    "service.list": Case(services.ServiceList(agent="demo")),
    "service.show": Case(AT_S),
    "service.tools": Case(services.ToolList(agent="demo", service="notes")),
    "service.drift": Case(AT_S, changed),
    "service.put": Case(
        services.ServicePut(agent="demo", service="open"),
        listed,
        audit=("service.enabled", "service.discovered", "policy.created"),
    ),
    "service.remove": Case(
        services.ServiceRemove(agent="demo", service="notes", purge=True),
        service_off,
        audit=("service.removed",),
    ),
    "service.discover": Case(
        services.Discover(agent="demo", service="notes", bearer="one-off"),
        listed,
        audit=("service.discovered",),
    ),
    "service.tier": Case(
        services.TierSet(agent="demo", service="notes", tool="search_notes", tier="write"),
        revision=of_service,
        audit=("tool.tier_set",),
    ),
    "service.ack": Case(lambda found: found, changed, audit=("policy.saved", "tool.acked")),
    "member.list": Case(members.MemberList(agent="demo", q="BO"), keyed),
    "member.show": Case(REF, connected),
    "member.add": Case(members.MemberAdd(agent="demo", name="ci"), audit=("member.added",)),
    "member.update": Case(
        members.MemberUpdate(agent="demo", member="bob", groups=("ops",)),
        revision=of_member,
        audit=("member.updated",),
    ),
    "member.approve": Case(
        members.MemberApprove(agent="demo", member=PENDING), invited, audit=("member.approved",)
    ),
    "member.reject": Case(
        members.MemberReject(agent="demo", member=PENDING, reason="unknown"),
        invited,
        audit=("member.rejected",),
    ),
    "member.remove": Case(REF, keyed, audit=("member.removed", "key.revoked")),
    "invite.list": Case(invites.InviteList(agent="demo"), asked_to_join),
    "invite.create": Case(
        invites.InviteCreate(agent="demo", email=ASKED, groups=("ops",)),
        audit=("invite.created", "account.link_created"),
    ),
    "invite.resend": Case(
        lambda found: found,
        to_resend,
        audit=(
            "invite.revoked",
            "invite.created",
            "account.link_voided",
            "account.link_created",
        ),
    ),
    "invite.revoke": Case(
        lambda found: found,
        to_revoke,
        audit=("invite.revoked", "account.link_voided", "member.removed"),
    ),
    "account.list": Case(accounts.AccountList(q="ASKED", status="active"), asked_to_join),
    "account.show": Case(ACCOUNT, signed_in),
    "account.status": Case(
        accounts.AccountStatusSet(account=ASKED, status="blocked"),
        asked_to_join,
        audit=("account.blocked", "account.link_voided"),
    ),
    "account.mfa_reset": Case(ACCOUNT, asked_to_join, audit=("account.mfa_reset",)),
    "account.sign_out": Case(ACCOUNT, signed_in, audit=("account.signed_out",)),
    "account.sign_out_one": Case(lambda found: found, signed_in, audit=("account.signed_out",)),
    "account.offboard": Case(
        accounts.Offboard(account=ASKED, reason="left"),
        asked_to_join,
        audit=("account.blocked", "account.link_voided", "member.removed", "invite.revoked"),
    ),
    "account.link": Case(
        ACCOUNT, asked_to_join, audit=("account.link_voided", "account.link_created")
    ),
    "key.list": Case(members.KeyList(agent="demo"), keyed),
    "key.issue": Case(REF, connected, audit=("key.issued", "connection.sealed")),
    "key.revoke": Case(
        members.KeyRevoke(agent="demo", member="bob", reason="lost"),
        keyed,
        audit=("key.revoked",),
    ),
    "key.revoke_by_id": Case(lambda found: found, keyed, audit=("key.revoked",)),
    "connection.list": Case(connections.ConnectionList(agent="demo"), connected),
    "connection.set": Case(
        connections.ConnectionSet(agent="demo", member="bob", service="notes", token="t"),
        audit=("connection.pending",),
    ),
    "service.credentials": Case(
        services.CredentialsPut(
            agent="demo", service="pinned", client_id="client", client_secret="s3cret"
        ),
        pinned,
        of_pinned,
        ("service.credentials_set",),
    ),
    "service.credentials_clear": Case(AT_PINNED, with_app, audit=("service.credentials_cleared",)),
    "connection.oauth": Case(
        connections.ConnectionSignIn(agent="demo", member="bob", service="pinned"), with_app
    ),
    "connection.discard": Case(
        connections.ConnectionRef(agent="demo", member="bob", service="notes"),
        connected,
        audit=("connection.revoked",),
    ),
    "policy.schema": Case(agents.AgentRef(agent="demo")),
    "policy.list": Case(policies.PolicyList(agent="demo"), policy),
    "policy.show": Case(AT_P, policy),
    "policy.versions": Case(policies.VersionList(agent="demo", policy="nothing"), policy),
    "policy.version": Case(policies.VersionRef(agent="demo", policy="nothing", version=1), policy),
    "policy.create": Case(
        policies.PolicyCreate(agent="demo", name="Nothing", text=FORBID),
        audit=("policy.created",),
    ),
    "policy.save": Case(
        policies.PolicySave(agent="demo", policy="nothing", text=f"// 2\n{FORBID}", note="n"),
        policy,
        of_set,
        ("policy.saved",),
    ),
    "policy.delete": Case(AT_P, policy, of_set, ("policy.deleted",)),
    "policy.enabled": Case(
        policies.PolicyEnabled(agent="demo", policy="nothing", enabled=True),
        policy,
        of_set,
        ("policy.enabled",),
    ),
    "policy.mode": Case(
        policies.PolicyMode(agent="demo", policy="nothing", mode="shadow"),
        policy,
        of_set,
        ("policy.mode",),
    ),
    "policy.rollback": Case(
        policies.PolicyRollback(agent="demo", policy="nothing", version=1),
        two_versions,
        of_set,
        ("policy.rolled_back",),
    ),
    "policy.check": Case(policies.PolicyCheck(agent="demo", text=FORBID)),
    "policy.format": Case(policies.PolicyFormat(text=FORBID)),
    "policy.recipe": Case(recipes.RecipeWrite(agent="demo", preset="circuit-breaker")),
    "policy.diff": Case(
        policy_sets.DiffAsk(agent="demo", policy="nothing", from_version=1, to_version=2),
        two_versions,
    ),
    "policy.coverage": Case(agents.AgentRef(agent="demo"), policy),
    "policy.export": Case(agents.AgentRef(agent="demo"), policy),
    "policy.import": Case(
        policy_sets.PolicyImport(
            agent="demo",
            policies=(policy_sets.SetPolicyFile(key="only", name="Only", text=FORBID),),
        ),
        revision=of_set,
        audit=("policy.imported", "policy.imported", "policy.imported"),
    ),
    "policy.revisions": Case(policies.RevisionList(agent="demo")),
    "policy.revision": Case(policies.RevisionRef(agent="demo", revision=1)),
    "policy.simulate": Case(
        simulations.Simulate(
            agent="demo",
            member="bob",
            tool="notes__delete_note",
            arguments={"text": "x"},
            draft=simulations.DraftText(text=FORBID, policy="nothing"),
        ),
        policy,
    ),
    "replay.create": Case(
        replays.ReplayCreate(agent="demo", since="7d", policy="nothing"),
        policy,
        audit=("policy.replayed",),
    ),
    "replay.show": Case(lambda found: replays.ReplayShow(replay=found, wait=8), replayed),
    "replay.rows": Case(lambda found: replays.ReplayRows(replay=found), replayed),
    "replay.cancel": Case(lambda found: replays.ReplayRef(replay=found), replayed),
    "session.list": Case(sessions_wire.SessionList(agent="demo", member="bob"), in_session),
    "session.show": Case(AT_SESSION, in_session),
    "session.reset": Case(AT_SESSION, in_session, audit=("session.ended",)),
    "audit.list": Case(audit.AuditList(agent="demo", tool="note", limit=2)),
    "audit.show": Case(lambda found: found, newest_entry),
    "audit.facets": Case(audit.FacetsAsk(agent="demo")),
    "audit.pages": Case(audit.AuditPages(agent="demo", size=2)),
    "audit.reveal": Case(lambda found: found, recorded, audit=("audit.revealed",)),
    "audit.prove": Case(lambda found: found, recorded, audit=("audit.revealed",)),
    "audit.export": Case(audit.AuditExport(agent="demo"), audit=("audit.exported",)),
    "audit.checkpoints": Case(Empty()),
    "audit.checkpoint": Case(Empty(), audit=("audit.checkpointed",)),
}
"""By the name of the row. Each runs on agent `demo` with service `notes` and member `bob`."""


async def prepared(there: Administered, name: str) -> Any:
    """The request of a row, ready to be sent."""
    await there.state.connected()
    case = CASES[name]
    made = None if case.prepare is None else await case.prepare(there)
    return case.request(made) if callable(case.request) else case.request
