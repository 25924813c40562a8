"""No read or change of the repositories walks a table that grows."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage.rows import (
    ACCOUNT,
    AGENT,
    AT,
    MEMBER,
    SERVICE,
    SESSION,
    agent,
    connection,
    member,
    oauth_flow,
    service,
    session,
    tool,
)
from wicketd.domain.accounts import AccountStatus
from wicketd.domain.agents import AgentStatus
from wicketd.domain.catalogue import ServiceState, Tier, TierSource, ToolStatus, UpstreamEra
from wicketd.domain.connections import ConnectionState
from wicketd.domain.ids import (
    ConnectionId,
    InviteId,
    PolicyId,
    PolicyRevision,
    Revision,
    SigninLinkId,
    WebSessionId,
)
from wicketd.domain.members import KeyState, MemberState, Role
from wicketd.domain.ports import Query, Statement
from wicketd.domain.sessions import SessionEnd
from wicketd.storage import (
    accounts,
    agents,
    app_credentials,
    audit,
    audit_counts,
    audit_pages,
    checkpoints,
    connect,
    connections,
    invites,
    key_usage,
    keys,
    kid_rows,
    members,
    meta,
    migrate,
    oauth_flows,
    policies,
    refresh_intents,
    rewraps,
    second_factors,
    services,
    sessions,
    signin,
    web_sessions,
)
from wicketd.storage.app_credentials import StoredApp
from wicketd.storage.audit import AuditFilters, AuditTable
from wicketd.storage.rewraps import ConnectionRef, SealedApp, SealedArguments, SealedTotp

REF = ConnectionRef(ConnectionId("c"), AGENT, MEMBER)
_READS: dict[str, Query[Any]] = {
    "agents.by_key_or_id": agents.by_key_or_id("demo"),
    "members.by_id": members.by_id(AGENT, "ann"),
    "members.of_agent": members.of_agent(AGENT),
    "members.of_agent(state)": members.of_agent(AGENT, MemberState.PENDING),
    "members.of_account": members.of_account(AGENT, ACCOUNT),
    "members.memberships": members.memberships(ACCOUNT),
    "members.labels": members.labels(MEMBER),
    "keys.by_key_id": keys.by_key_id("ABCDEFGH"),
    "keys.active_of": keys.active_of(AGENT, MEMBER),
    "services.of_agent": services.of_agent(AGENT),
    "services.by_key": services.by_key(AGENT, "git"),
    "services.tools": services.tools(SERVICE),
    "services.tool": services.tool(SERVICE, "push"),
    "services.open_changes": services.open_changes(SERVICE),
    "connections.of_member_service": connections.of_member_service(AGENT, MEMBER, SERVICE),
    "connections.of_member_with_service": connections.of_member_with_service(AGENT, MEMBER),
    "connections.of_agent_with_service": connections.of_agent_with_service(AGENT),
    "connections.of_agent": connections.of_agent(AGENT),
    "connections.ids_of_account": connections.ids_of_account(AGENT, ACCOUNT),
    "connections.pending_since_before": connections.pending_since_before(AT),
    "refresh_intents.of_connection": refresh_intents.of_connection(connection()),
    "rewraps.connections": rewraps.connections("k2", "0", 100),
    "rewraps.totps": rewraps.totps("k2", "0", 100),
    "rewraps.apps": rewraps.apps("k2", "0", 100),
    "rewraps.revisions": rewraps.revisions("k2", "a/0", 100),
    "policies.current": policies.current(AGENT),
    "policies.current_of": policies.current_of(AGENT, "p"),
    "policies.key_in_use": policies.key_in_use(AGENT, "p"),
    "policies.versions": policies.versions(AGENT, "p"),
    "policies.version": policies.version(AGENT, "p", 1),
    "policies.revision": policies.revision(AGENT, 1),
    "policies.revisions": policies.revisions(AGENT),
    "sessions.active": sessions.active(),
    "sessions.of_agent": sessions.of_agent(AGENT),
    "sessions.of_member": sessions.of_member(AGENT, MEMBER),
    "sessions.by_id": sessions.by_id(AGENT, SESSION),
    "sessions.counts": sessions.counts(SESSION),
    "meta.get": meta.get("a"),
    "meta.with_prefix": meta.with_prefix("a"),
    "key_usage.of": key_usage.of("k1", "totp"),
    "audit.head": AuditTable().head(),
    "audit.by_seq": audit.by_seq(1),
    "audit.by_id": audit.by_id("a"),
    "audit.by_ref": audit.by_ref("4D2PF2DB"),
    "audit.by_ref(agent)": audit.by_ref("4D2PF2DB", AGENT),
    "audit.by_call": audit.by_call("a"),
    "audit.outcomes_of": audit.outcomes_of(["a", "b"]),
    "audit.rows_from": audit.rows_from(5),
    "audit.hashes_from": audit.hashes_from(5, 100),
    "audit.open_intents": audit.open_intents(),
    "audit.page": audit.page(AuditFilters()),
    "audit.page(after)": audit.page(AuditFilters(), after=1),
    "audit.page(agent)": audit.page(AuditFilters(agent_id=AGENT)),
    "audit.page(agent, decision)": audit.page(AuditFilters(agent_id=AGENT, decision="DENY")),
    "audit.page(member)": audit.page(AuditFilters(member_id=MEMBER)),
    "audit.page(tool)": audit.page(AuditFilters(agent_id=AGENT, service="git", tools=("push",))),
    "audit.page(session)": audit.page(AuditFilters(session_id=SESSION)),
    "audit.page(ref)": audit.page(AuditFilters(ref="4D2PF2DB")),
    "audit.page(policy)": audit.page(AuditFilters(policy_id="p")),
    "audit.page(outcome)": audit.page(AuditFilters(outcome="timeout")),
    "audit.page(time)": audit.page(AuditFilters(from_ms=1, to_ms=2)),
    "audit_pages.starts": audit_pages.starts(AuditFilters(), 200, 1, 100),
    "audit_pages.starts(agent)": audit_pages.starts(AuditFilters(agent_id=AGENT), 200, 1, 100),
    "audit_pages.starts(agent, decision)": audit_pages.starts(
        AuditFilters(agent_id=AGENT, decision="DENY"), 200, 1, 100
    ),
    "audit_pages.starts(policy)": audit_pages.starts(AuditFilters(policy_id="p"), 200, 1, 100),
    "audit_pages.count": audit_pages.count(AuditFilters(agent_id=AGENT), 50, 100),
    "audit.decided": audit.decided(AuditFilters(agent_id=AGENT), 0, 100, 10),
    "audit.arguments_of": audit.arguments_of("a"),
    "audit.targets": audit.targets(AGENT, AT, 10_000, 200),
    "audit_counts.facets": audit_counts.facets(AGENT, "tool"),
    "audit_counts.stats": audit_counts.stats(AGENT, 1, 2),
    "audit_counts.policy_stats": audit_counts.policy_stats(AGENT, 1, 2),
    "checkpoints.newest": checkpoints.newest(),
    "accounts.by_ref": accounts.by_ref("ann@example.org"),
    "accounts.by_email": accounts.by_email("ann@example.org"),
    "accounts.memberships": accounts.memberships(ACCOUNT),
    "second_factors.of": second_factors.of(ACCOUNT),
    "second_factors.unused_codes": second_factors.unused_codes(ACCOUNT),
    "signin.newest_code": signin.newest_code("ann@example.org"),
    "signin.code_counts": signin.code_counts("ann@example.org", "::1", AT),
    "signin.link_by_macs": signin.link_by_macs([b"1", b"2"]),
    "signin.open_link_of": signin.open_link_of(ACCOUNT),
    "signin.links_over": signin.links_over(AT),
    "web_sessions.by_macs": web_sessions.by_macs([b"1", b"2"]),
    "web_sessions.live_of": web_sessions.live_of(ACCOUNT, AT, AT),
    "invites.by_id": invites.by_id(InviteId("i")),
    "invites.open_of_member": invites.open_of_member(MEMBER),
    "invites.open_of_account": invites.open_of_account(ACCOUNT),
    "invites.over": invites.over(AT),
    "oauth_flows.by_macs": oauth_flows.by_macs([b"1", b"2"]),
    "oauth_flows.of_session": oauth_flows.of_session("f", WebSessionId("s")),
    "oauth_flows.whole": oauth_flows.whole(oauth_flow()),
    "oauth_flows.open_of_member": oauth_flows.open_of_member(AGENT, MEMBER, AT),
    "oauth_flows.with_tokens_of_member": oauth_flows.with_tokens_of_member(AGENT, MEMBER),
    "oauth_flows.over": oauth_flows.over(AT),
    "app_credentials.of_service": app_credentials.of_service(AGENT, SERVICE),
}

_WRITES: dict[str, Statement] = {
    "agents.update": agents.update(agent()),
    "agents.set_status": agents.set_status(AGENT, AgentStatus.ACTIVE, None, Revision(1)),
    "agents.mark_deleted": agents.mark_deleted(AGENT, AT, Revision(1)),
    "agents.bump_revision": agents.bump_revision(AGENT, PolicyRevision(1)),
    "members.update": members.update(member()),
    "members.set_state": members.set_state(MEMBER, MemberState.REMOVED, AT, "x", Revision(1)),
    "members.update_role": members.update_role(MEMBER, Role.OWNER, Revision(1)),
    "keys.end": keys.end("key-1", AT, KeyState.REVOKED, None, "x"),
    "keys.touch_day": keys.touch_day("key-1", 1),
    "keys.set_verifier": keys.set_verifier("key-1", "k", b"", b""),
    "services.update": services.update(service()),
    "services.set_state": services.set_state(SERVICE, ServiceState.ENABLED, Revision(1)),
    "services.set_discovery": services.set_discovery(SERVICE, "h", AT),
    "services.set_error": services.set_error(SERVICE, None),
    "services.set_era": services.set_era(SERVICE, UpstreamEra.LEGACY, AT),
    "services.set_drift": services.set_drift(SERVICE, "clean"),
    "services.set_connector": services.set_connector(SERVICE, "h"),
    "services.put_tool": services.put_tool(SERVICE, tool()),
    "services.set_tool_status": services.set_tool_status(SERVICE, "a", ToolStatus.GONE, None),
    "services.set_override": services.set_override(
        SERVICE, "a", None, Tier.READ, TierSource.DEFAULT
    ),
    "services.ack": services.ack(SERVICE, "a", "h"),
    "services.ack_changes": services.ack_changes(SERVICE, "a", AT, "x"),
    "connections.put": connections.put(connection()),
    "connections.destroy": connections.destroy(
        AGENT, MEMBER, connection().id, ConnectionState.REVOKED, AT
    ),
    "connections.set_missing_scopes": connections.set_missing_scopes(connection(), "a", AT),
    "refresh_intents.mark_sent": refresh_intents.mark_sent(connection()),
    "refresh_intents.delete": refresh_intents.delete(connection()),
    "services.clear_error": services.clear_error(SERVICE, "x"),
    "connections.touch_used": connections.touch_used(AGENT, MEMBER, connection().id, AT),
    "policies.set_current": policies.set_current(PolicyId("p"), 1),
    "policies.mark_deleted": policies.mark_deleted(PolicyId("p"), AT),
    "sessions.fold_session": sessions.fold_session(AT)(("session", SESSION), (1, 1, 0)),
    "sessions.fold_count": sessions.fold_count(("", SESSION, "tool", "a"), (1,)),
    "sessions.touch": sessions.touch(session()),
    "sessions.end": sessions.end(SESSION, AT, SessionEnd.INACTIVITY),
    "audit.erase_arguments": audit.erase_arguments(AT),
    "checkpoints.mark_exported": checkpoints.mark_exported(1, 1),
    "accounts.set_status": accounts.set_status(ACCOUNT, AccountStatus.BLOCKED, Revision(1)),
    "accounts.signed_in": accounts.signed_in(ACCOUNT, AT),
    "second_factors.begin": second_factors.begin(ACCOUNT, "k1", b""),
    "second_factors.confirm": second_factors.confirm(ACCOUNT, AT, 1),
    "second_factors.use_step": second_factors.use_step(ACCOUNT, 1),
    "second_factors.fail": second_factors.fail(ACCOUNT, AT),
    "second_factors.fail_nobody": second_factors.fail_nobody(),
    "second_factors.forgive": second_factors.forgive(ACCOUNT),
    "second_factors.clear": second_factors.clear(ACCOUNT)[0],
    "second_factors.use_code": second_factors.use_code("c", AT),
    "second_factors.drop_codes": second_factors.drop_codes(ACCOUNT),
    "signin.use_code": signin.use_code("c", AT),
    "signin.miss_code": signin.miss_code("c"),
    "signin.drop_code": signin.drop_code("c"),
    "signin.sweep_codes": signin.sweep_codes(AT),
    "signin.use_link": signin.use_link(SigninLinkId("l"), AT),
    "signin.void_link": signin.void_link(SigninLinkId("l"), AT),
    "web_sessions.touch": web_sessions.touch(WebSessionId("s"), AT),
    "web_sessions.revoke": web_sessions.revoke(ACCOUNT, WebSessionId("s"), AT),
    "web_sessions.revoke_all": web_sessions.revoke_all(ACCOUNT, AT),
    "web_sessions.sweep": web_sessions.sweep(AT, AT),
    "invites.accept": invites.accept(InviteId("i"), AT),
    "invites.revoke": invites.revoke(InviteId("i"), AT),
    "invites.expire": invites.expire(InviteId("i"), AT),
    "invites.mark_sent": invites.mark_sent(InviteId("i"), AT),
    "oauth_flows.take": oauth_flows.take(oauth_flow(), None, AT),
    "oauth_flows.keep_tokens": oauth_flows.keep_tokens(oauth_flow(), None),
    "oauth_flows.delete": oauth_flows.delete(oauth_flow()),
    "rewraps.put_sealed": rewraps.put_sealed(REF, b"", b"", "k2"),
    "rewraps.put_pending": rewraps.put_pending(REF, b"", b"", "k2"),
    "rewraps.put_totp": rewraps.put_totp(SealedTotp(ACCOUNT, b""), b"", "k2"),
    "rewraps.put_app": rewraps.put_app(SealedApp(SERVICE, AGENT, "notes", b"", 1), b"", "k2"),
    "rewraps.put_arguments": rewraps.put_arguments(SealedArguments("c", "a", "m", b""), b"", "k2"),
    "app_credentials.put": app_credentials.put(
        StoredApp(SERVICE, AGENT, None, None, None, None, None)
    ),
}

_WHOLE_BY_NATURE = {
    "agents.all": "a handful of rows, all wanted",
    "keys.of_agent": "an administrator's list; a few rows per member",
    "key_usage.usage": "as many rows as keys and purposes",
    "checkpoints.all": "all wanted, for verification",
    "checkpoints.anchors": "a row a month",
    "audit.arguments_kids": "before a server key is retired; no call waits for it",
    "second_factors.nobodys_codes": "no table at all, ten made-up rows",
    "accounts.all": "an administrator's list; a row a person",
    "invites.of_agent": "an administrator's list; a few rows per member",
    "meta.named_kids": "at start, over tables without growth",
    "refresh_intents.in_doubt": "at start; a row a refresh whose answer is unknown",
    "kid_rows.all": "an administrator's look at the keyring, and the retirement of a key",
    "kid_rows.codes_of": "at the retirement of a key, on the host",
    "keys.active_under": "at the retirement of a key, on the host",
    "rewraps.arguments": "once after a rotation, from a primary key on, a hundred a batch",
}
"""Reads of whole tables, and why they may."""

_SMALL = {
    "agents",
    "signin_codes",  # an hour of them, at most 200
    "web_sessions",  # ended ones are swept
    "oauth_flows",  # ten minutes of them
}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("plans") / "wicket.db"
    connection = connect.writer(path)
    migrate.migrate(connection, path, 0)
    yield connection
    connection.close()


def _plan(connection: sqlite3.Connection, value: Query[Any] | Statement) -> list[str]:
    rows = connection.execute(f"EXPLAIN QUERY PLAN {value.sql}", value.params)
    return [str(row[3]) for row in rows]


def _scanned(plan: list[str]) -> list[str]:
    tables = [found[1] for step in plan if (found := re.match(r"SCAN (\w+)", step))]
    return [table for table in tables if table not in _SMALL]


@pytest.mark.parametrize("name", sorted(_READS))
def test_a_read_uses_an_index(schema: sqlite3.Connection, name: str) -> None:
    assert _scanned(_plan(schema, _READS[name])) == []


@pytest.mark.parametrize("name", sorted(_WRITES))
def test_a_change_uses_an_index(schema: sqlite3.Connection, name: str) -> None:
    assert _scanned(_plan(schema, _WRITES[name])) == []


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("keys.by_key_id", "sqlite_autoindex_member_keys_2"),
        ("audit.page(agent)", "ix_audit_agent_id_seq"),
        ("audit.page(agent, decision)", "ix_audit_agent_id_decision_seq"),
        ("audit.page(member)", "ix_audit_member_id_seq"),
        ("audit.page(tool)", "ix_audit_agent_id_service_tool_seq"),
        ("audit.page(session)", "ix_audit_session_id_seq"),
        ("audit.page(ref)", "ix_audit_ref"),
        ("audit.page(policy)", "ix_audit_policies_policy_id_seq"),
        ("audit_pages.starts(agent)", "COVERING INDEX ix_audit_agent_id_seq"),
        ("audit_pages.starts(agent)", "COVERING INDEX ux_audit_call_id_kind"),
        ("audit_pages.starts(agent, decision)", "COVERING INDEX ix_audit_agent_id_decision_seq"),
        ("audit_pages.starts(policy)", "COVERING INDEX ix_audit_policies_policy_id_seq"),
        ("audit.by_ref(agent)", "ux_audit_agent_id_ref"),
        ("audit.targets", "ix_audit_agent_id_seq"),
        ("audit.open_intents", "ux_audit_call_id_kind"),
        ("sessions.active", "ux_tool_sessions_external_mac"),
        ("connections.pending_since_before", "ix_connections_pending_expires_at"),
    ],
)
def test_a_read_uses_the_index_made_for_it(
    schema: sqlite3.Connection, name: str, index: str
) -> None:
    assert any(index in step for step in _plan(schema, _READS[name]))


@pytest.mark.parametrize("name", sorted(name for name in _READS if name.startswith("audit.page(")))
def test_a_page_is_not_sorted(schema: sqlite3.Connection, name: str) -> None:
    if name not in {"audit.page(ref)", "audit.page(tool)", "audit.page(time)"}:
        assert not any("TEMP B-TREE" in step for step in _plan(schema, _READS[name]))


def test_every_query_of_the_repositories_is_listed_here() -> None:
    modules = (
        accounts,
        agents,
        audit,
        audit_counts,
        audit_pages,
        checkpoints,
        connections,
        invites,
        key_usage,
        keys,
        kid_rows,
        members,
        meta,
        policies,
        rewraps,
        second_factors,
        services,
        sessions,
        signin,
        web_sessions,
    )
    listed = {name.partition("(")[0] for name in (*_READS, *_WRITES, *_WHOLE_BY_NATURE)}
    written = set()
    for module in modules:
        short = module.__name__.rpartition(".")[2]
        for name, made in vars(module).items():
            kind = str(getattr(made, "__annotations__", {}).get("return", ""))
            if "storage.ports.Query" in kind or "ports.Query" in kind:
                written.add(f"{short}.{name}")
    assert written - listed == set()
