"""schema.sql is the data model of the product specification, and each of its guards holds."""

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests.storage import expected_schema as expected
from wicketd.storage.migrate import schema_text

_TYPES = {"i": "INTEGER", "b": "BLOB", "": "TEXT"}


@pytest.fixture
def empty() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.executescript(schema_text())
    yield connection
    connection.close()


def _tables(connection: sqlite3.Connection) -> list[str]:
    return [row[1] for row in connection.execute("PRAGMA table_list") if row[1][:7] != "sqlite_"]


def _expected_columns(table: str) -> list[tuple[str, str, bool]]:
    found = []
    for text in expected.TABLES[table].split():
        name, _, kind = text.partition(":")
        found.append((name.rstrip("?"), _TYPES[kind], not name.endswith("?")))
    return found


def test_the_tables_are_those_of_the_specification(empty: sqlite3.Connection) -> None:
    assert sorted(_tables(empty)) == sorted(expected.TABLES)


@pytest.mark.parametrize("table", sorted(expected.TABLES))
def test_columns_types_and_nullability_are_those_of_the_specification(
    empty: sqlite3.Connection, table: str
) -> None:
    rows = empty.execute(f"PRAGMA table_info({table})").fetchall()
    assert [(row[1], row[2], bool(row[3])) for row in rows] == _expected_columns(table)
    key = [row[1] for row in sorted(rows, key=lambda row: int(row[5])) if row[5]]
    assert key == expected.PRIMARY_KEYS.get(table, "id").split()


def test_every_table_is_strict(empty: sqlite3.Connection) -> None:
    strict = {row[1]: row[5] for row in empty.execute("PRAGMA table_list")}
    assert [table for table in expected.TABLES if not strict[table]] == []


def test_foreign_keys_are_those_of_the_specification(empty: sqlite3.Connection) -> None:
    found = {
        table: {(row[3], row[2]) for row in empty.execute(f"PRAGMA foreign_key_list({table})")}
        for table in expected.TABLES
    }
    assert {table: keys for table, keys in found.items() if keys} == expected.FOREIGN


def test_indexes_are_those_of_the_specification(empty: sqlite3.Connection) -> None:
    found = set()
    for table in expected.TABLES:
        for _, name, unique, origin, partial in empty.execute(f"PRAGMA index_list({table})"):
            if origin == "pk":
                continue
            columns = " ".join(row[2] for row in empty.execute(f"PRAGMA index_info({name})"))
            condition = _condition(empty, name) if partial else None
            found.add((table, columns, bool(unique), condition))
    assert found == expected.INDEXES


def _condition(connection: sqlite3.Connection, index: str) -> str:
    query = "SELECT sql FROM sqlite_master WHERE name = ?"
    sql = str(connection.execute(query, (index,)).fetchone()[0])
    return " ".join(sql.partition(" WHERE ")[2].split() or sql.partition("WHERE ")[2].split())


def test_triggers_are_those_of_the_specification(empty: sqlite3.Connection) -> None:
    rows = empty.execute("SELECT tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
    found = {(table, re.findall(r"BEFORE (\w+)", sql)[0]) for table, sql in rows}
    assert found == expected.TRIGGERS


def test_every_table_is_preceded_by_a_comment() -> None:
    bare = re.findall(r"\n\n(?:CREATE TABLE )(\w+)", schema_text())
    assert bare == []


_MAC = b"m" * 32
_SAMPLES: dict[str, dict[str, Any]] = {
    "accounts": {
        "id": "account-1",
        "email": "ann@example.org",
        "status": "active",
        "mfa_failures": 0,
        "created_at": 1,
        "rev": 1,
    },
    "agents": {
        "id": "agent-1",
        "key": "demo",
        "name": "Demo",
        "status": "active",
        "trust": "trusted",
        "tz": "UTC",
        "session_scope": "key",
        "policy_revision": 0,
        "tags": "[]",
        "created_by": "uid:0",
        "created_at": 1,
        "rev": 1,
    },
    "members": {
        "id": "member-1",
        "agent_id": "agent-1",
        "local_name": "ann",
        "role": "member",
        "state": "approved",
        "state_at": 1,
        "state_by": "uid:0",
        "created_at": 1,
        "rev": 1,
    },
    "invites": {
        "id": "invite-1",
        "agent_id": "agent-1",
        "member_id": "member-1",
        "email": "ann@example.org",
        "role": "member",
        "kid": "k1",
        "created_by": "uid:0",
        "created_at": 1,
        "expires_at": 2,
    },
    "member_keys": {
        "id": "key-1",
        "key_id": "ABCDEFGH",
        "agent_id": "agent-1",
        "member_id": "member-1",
        "srv_kid": "k1",
        "verifier": _MAC,
        "seal_public": _MAC,
        "seal_mac": _MAC,
        "created_at": 1,
    },
    "services": {
        "id": "service-1",
        "agent_id": "agent-1",
        "key": "git",
        "connector_sha256": "0",
        "state": "enabled",
        "catalogue": "declared",
        "drift": "clean",
        "created_at": 1,
        "rev": 1,
    },
    "connections": {
        "id": "connection-1",
        "agent_id": "agent-1",
        "member_id": "member-1",
        "service_id": "service-1",
        "state": "sealed",
        "origin": "https://git.example:443",
        "placement": "header:authorization",
        "refreshable": 0,
        "refresh_due": 0,
        "sealed_ct": b"c",
        "sealed_suite": 1,
        "outer_kid": "k1",
        "generation": 1,
        "created_at": 1,
        "updated_at": 1,
        "rev": 1,
    },
    "policies": {
        "id": "policy-1",
        "agent_id": "agent-1",
        "key": "read-only",
        "current_version": 1,
        "created_at": 1,
    },
    "tool_sessions": {
        "id": "ts_" + "0" * 32,
        "agent_id": "agent-1",
        "member_id": "member-1",
        "member_key_id": "key-1",
        "external_mac": _MAC,
        "id_source": "fingerprint",
        "created_at": 1,
        "last_activity_at": 1,
        "calls": 0,
        "denials": 0,
    },
    "web_sessions": {
        "id": "web-1",
        "account_id": "account-1",
        "token_mac": _MAC,
        "kid": "k1",
        "created_at": 1,
        "last_seen_at": 1,
        "expires_at": 2,
        "ip": "127.0.0.1",
        "user_agent": "browser",
    },
    "audit": {
        "seq": 1,
        "id": "row-1",
        "ts": 1,
        "kind": "call.denied",
        "call_id": "call-1",
        "ref": "4D2PF2DB",
        "agent_id": "agent-1",
        "decision": "DENY",
        "body": "{}",
        "prev": _MAC,
        "hash": _MAC,
        "epoch": 1,
    },
    "backup_codes": {"id": "code-1", "account_id": "account-1", "code_mac": _MAC, "kid": "k1"},
    "signin_codes": {
        "id": "signin-1",
        "email": "ann@example.org",
        "nonce": b"n" * 16,
        "code_mac": _MAC,
        "kid": "k1",
        "prelogin_mac": _MAC,
        "ip": "127.0.0.1",
        "attempts": 0,
        "created_at": 1,
        "expires_at": 2,
    },
    "signin_links": {
        "id": "link-1",
        "account_id": "account-1",
        "token_mac": _MAC,
        "kid": "k1",
        "created_by": "uid:0",
        "created_at": 1,
        "expires_at": 2,
    },
    "member_labels": {"member_id": "member-1", "kind": "group", "value": "team.a-1_B"},
    "tools": {
        "service_id": "service-1",
        "name": "push",
        "tier": "write",
        "tier_source": "default",
        "status": "active",
        "first_seen_at": 1,
        "last_seen_at": 1,
    },
    "tool_changes": {
        "id": "change-1",
        "service_id": "service-1",
        "tool": "push",
        "kind": "added",
        "broken_policies": "[]",
        "at": 1,
    },
    "oauth_flows": {
        "id": "flow-1",
        "state_mac": _MAC,
        "kid": "k1",
        "agent_id": "agent-1",
        "member_id": "member-1",
        "service_id": "service-1",
        "connection_id": "connection-1",
        "issuer": "i",
        "token_endpoint": "t",
        "redirect_uri": "r",
        "resource": "r",
        "verifier_ct": b"c",
        "scopes": "",
        "created_at": 1,
        "expires_at": 2,
    },
    "refresh_intents": {
        "connection_id": "connection-1",
        "generation": 1,
        "key_id": "ABCDEFGH",
        "kid": "k1",
        "rt_mac": _MAC,
        "phase": "started",
        "started_at": 1,
    },
    "policy_versions": {
        "policy_id": "policy-1",
        "version": 1,
        "name": "Read only",
        "text": "",
        "sha256": _MAC,
        "enabled": 1,
        "mode": "enforce",
        "statements": 0,
        "projection": "{}",
        "cause": "create",
        "created_by": "uid:0",
        "created_at": 1,
    },
    "policy_revisions": {
        "agent_id": "agent-1",
        "revision": 1,
        "manifest": "[]",
        "set_sha256": _MAC,
        "schema_sha256": _MAC,
        "mac": _MAC,
        "kid": "k1",
        "cause": "create",
        "actor": "uid:0",
        "at": 1,
    },
    "tool_session_counts": {
        "session_id": "ts_" + "0" * 32,
        "kind": "tool",
        "name": "git__push",
        "n": 1,
    },
    "schemas": {"sha256": b"h" * 32, "services": b"z"},
    "audit_policies": {
        "seq": 1,
        "policy_id": "policy-1",
        "version": 1,
        "statement": 1,
        "effect": "forbid",
        "mode": "enforce",
    },
    "audit_args": {"call_id": "call-1", "kid": "k1", "ct": b"c", "expires_at": 1},
    "audit_checkpoints": {
        "epoch": 1,
        "size": 1,
        "root": _MAC,
        "note": "n",
        "at": 1,
        "exported": 0,
    },
    "audit_anchors": {
        "to_seq": 0,
        "from_seq": 0,
        "count": 0,
        "last_hash": _MAC,
        "root": _MAC,
        "frontier": b"",
        "export_sha256": _MAC,
        "note": "n",
        "at": 1,
    },
    "audit_facets": {"agent_id": "", "kind": "tool", "value": "push", "last_seq": 1},
    "audit_hourly": {
        "agent_id": "",
        "hour": 0,
        "service": "git",
        "tool": "push",
        "decision": "DENY",
        "n": 1,
        "sum_us": 1,
        "max_us": 1,
    },
    "audit_hourly_policy": {
        "agent_id": "",
        "hour": 0,
        "policy_id": "policy-1",
        "decision": "DENY",
        "n": 1,
    },
    "meta": {"key": "install_id", "value": "00"},
    "key_usage": {"kid": "k1", "purpose": "audit-args", "encryptions": 0},
}
"""One valid row per table; parents stand before children."""


def _insert(connection: sqlite3.Connection, table: str, **changes: Any) -> None:
    row = _SAMPLES[table] | changes
    marks = ", ".join("?" * len(row))
    connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values())
    )


@pytest.fixture
def full(empty: sqlite3.Connection) -> sqlite3.Connection:
    """Every table with one row."""
    for table in _SAMPLES:
        _insert(empty, table)
    return empty


def test_every_table_has_a_sample_row() -> None:
    assert sorted(_SAMPLES) == sorted(expected.TABLES)


_HASHED = {"nonce": 16}
_ENUMS = {
    ("accounts", "status"),
    ("agents", "status"),
    ("agents", "trust"),
    ("agents", "session_scope"),
    ("members", "role"),
    ("members", "state"),
    ("member_labels", "kind"),
    ("invites", "role"),
    ("services", "state"),
    ("services", "catalogue"),
    ("services", "era"),
    ("services", "drift"),
    ("tools", "tier"),
    ("tools", "tier_source"),
    ("tools", "override_tier"),
    ("tools", "status"),
    ("tool_changes", "kind"),
    ("connections", "state"),
    ("refresh_intents", "phase"),
    ("policy_versions", "mode"),
    ("tool_session_counts", "kind"),
    ("audit", "decision"),
    ("audit_policies", "effect"),
    ("audit_policies", "mode"),
    ("audit_hourly", "decision"),
    ("audit_hourly_policy", "decision"),
}
_BROKEN: list[tuple[str, dict[str, Any]]] = [
    *((table, {column: "other"}) for table, column in sorted(_ENUMS)),
    ("accounts", {"email": "a"}),
    ("accounts", {"email": "a" * 255}),
    ("accounts", {"rev": 0}),
    ("accounts", {"totp_ct": b"c"}),
    ("agents", {"key": "Demo"}),
    ("agents", {"key": "1demo"}),
    ("agents", {"key": "a" * 41}),
    ("agents", {"name": "a" * 81}),
    ("agents", {"policy_revision": -1}),
    ("agents", {"rev": 0}),
    ("members", {"local_name": None}),
    ("members", {"account_id": "account-1"}),
    ("members", {"local_name": "Ann"}),
    ("members", {"local_name": "-ann"}),
    ("members", {"local_name": "a" * 41}),
    ("members", {"rev": 0}),
    ("member_labels", {"value": "two words"}),
    ("member_labels", {"value": ""}),
    ("member_labels", {"value": "a" * 65}),
    ("member_keys", {"key_id": "ABC"}),
    ("member_keys", {"ended_at": 1}),
    ("member_keys", {"ended_at": 1, "ended_kind": "lost"}),
    ("web_sessions", {"user_agent": "a" * 201}),
    ("services", {"client_secret_ct": b"c"}),
    ("services", {"rev": 0}),
    ("connections", {"pending_ct": b"c", "pending_kid": "k1"}),
    ("connections", {"state": "pending"}),
    ("connections", {"sealed_ct": None, "outer_kid": None}),
    ("connections", {"outer_kid": None}),
    ("connections", {"state": "needs_reconnect", "pending_kid": "k1"}),
    ("connections", {"state": "revoked"}),
    ("connections", {"state": "expired"}),
    ("connections", {"sealed_suite": 3}),
    ("connections", {"generation": -1}),
    ("connections", {"refreshable": 2}),
    ("connections", {"refresh_due": 2}),
    ("connections", {"rev": 0}),
    ("policies", {"current_version": 0}),
    ("policy_versions", {"version": 0}),
    ("policy_versions", {"name": "a" * 121}),
    ("policy_versions", {"text": "a" * 65537}),
    ("policy_versions", {"text": "é" * 32769}),
    ("policy_versions", {"enabled": 2}),
    ("policy_versions", {"note": "a" * 501}),
    ("policy_revisions", {"revision": -1}),
    ("tool_sessions", {"id": "no-session"}),
    ("tool_sessions", {"terminated_at": 1}),
    ("tool_sessions", {"terminated_at": 1, "terminated_reason": "other"}),
    ("audit", {"ref": "SHORT"}),
    ("audit_checkpoints", {"exported": 2}),
    ("key_usage", {"encryptions": -1}),
    *(
        (table, {column: b"short"})
        for table, row in sorted(_SAMPLES.items())
        for column, value in sorted(row.items())
        if isinstance(value, bytes) and len(value) == _HASHED.get(column, 32)
    ),
]


@pytest.mark.parametrize(("table", "changes"), _BROKEN, ids=lambda value: str(value)[:60])
def test_a_row_that_breaks_a_check_is_refused(
    empty: sqlite3.Connection, table: str, changes: dict[str, Any]
) -> None:
    for parent in _SAMPLES:
        if parent == table:
            break
        _insert(empty, parent)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        _insert(empty, table, **changes)


_TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("accounts", {"id": "2"}),
    ("signin_links", {"id": "2", "token_mac": b"2" * 32}),
    ("signin_links", {"id": "2", "used_at": 1}),
    ("web_sessions", {"id": "2"}),
    ("agents", {"id": "2"}),
    ("members", {"id": "2"}),
    ("members", {"id": "2", "state": "pending"}),
    ("invites", {"id": "2"}),
    ("member_keys", {"id": "2", "key_id": "22222222"}),
    ("member_keys", {"id": "2", "ended_at": 1, "ended_kind": "revoked"}),
    ("services", {"id": "2"}),
    ("connections", {"id": "2"}),
    ("oauth_flows", {"id": "2"}),
    ("policies", {"id": "2", "deleted_at": 1}),
    ("tool_sessions", {"id": "ts_" + "2" * 32}),
    ("audit", {"seq": 2, "call_id": "2", "ref": "22222222"}),
    ("audit", {"seq": 2, "id": "2", "ref": "22222222"}),
    ("audit", {"seq": 2, "id": "2", "call_id": "2"}),
]


@pytest.mark.parametrize(("table", "changes"), _TAKEN, ids=lambda value: str(value)[:60])
def test_what_is_unique_is_not_taken_twice(
    full: sqlite3.Connection, table: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        _insert(full, table, **changes)


def test_two_live_memberships_of_an_account_are_refused(full: sqlite3.Connection) -> None:
    account = {"local_name": None, "account_id": "account-1"}
    _insert(full, "members", id="2", **account)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        _insert(full, "members", id="3", **account)


_FREE_AGAIN: list[tuple[str, str, dict[str, Any]]] = [
    ("members", "state = 'removed'", {"id": "2"}),
    ("members", "state = 'rejected'", {"id": "2"}),
    ("member_keys", "ended_at = 1, ended_kind = 'revoked'", {"id": "2", "key_id": "22222222"}),
    ("services", "state = 'removed'", {"id": "2"}),
    ("invites", "revoked_at = 1", {"id": "2"}),
    ("signin_links", "void_at = 1", {"id": "2", "token_mac": b"2" * 32}),
    (
        "tool_sessions",
        "terminated_at = 1, terminated_reason = 'inactivity'",
        {"id": "ts_" + "2" * 32},
    ),
]


@pytest.mark.parametrize(("table", "end", "changes"), _FREE_AGAIN)
def test_what_has_ended_makes_room(
    full: sqlite3.Connection, table: str, end: str, changes: dict[str, Any]
) -> None:
    full.execute(f"UPDATE {table} SET {end}")
    _insert(full, table, **changes)


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table, keys in expected.FOREIGN.items() for column, _ in sorted(keys)],
)
def test_a_reference_to_nothing_is_refused(
    empty: sqlite3.Connection, table: str, column: str
) -> None:
    for parent in _SAMPLES:
        if parent == table:
            break
        _insert(empty, parent)
    changes: dict[str, Any] = {column: "nobody"}
    if (table, column) == ("members", "account_id"):
        changes["local_name"] = None
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        _insert(empty, table, **changes)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE policy_versions SET mode = 'shadow'", "DELETE FROM policy_versions"],
)
def test_a_policy_version_cannot_be_changed_or_deleted(
    full: sqlite3.Connection, statement: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="immutable"):
        full.execute(statement)


def test_an_audit_row_cannot_be_changed(full: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="immutable"):
        full.execute("UPDATE audit SET ts = 2")


def test_audit_rows_leave_only_under_an_anchor(full: sqlite3.Connection) -> None:
    _insert(full, "audit", seq=2, id="row-2", call_id="call-2", ref="22222222")
    with pytest.raises(sqlite3.IntegrityError, match="anchor"):
        full.execute("DELETE FROM audit WHERE seq = 1")
    _insert(full, "audit_anchors", to_seq=1)
    full.execute("DELETE FROM audit WHERE seq = 1")
    with pytest.raises(sqlite3.IntegrityError, match="anchor"):
        full.execute("DELETE FROM audit WHERE seq = 2")


def test_a_wrong_type_is_refused(full: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"):
        _insert(full, "audit_facets", value="x", last_seq="many")
