"""The data model of the product specification, section 4, taken over by hand.

A column is `name`, then `?` when it may be null, then `:i` INTEGER or `:b` BLOB (else TEXT).
`FOREIGN` and `INDEXES` repeat the arrows, UNIQUE and ix of that section, with the condition of
partial indexes.
"""

TABLES: dict[str, str] = {
    "meta": "key value",
    "key_usage": "kid purpose encryptions:i",
    "accounts": "id email verified_at?:i status totp_ct?:b totp_kid? totp_confirmed_at?:i "
    "totp_last_step?:i mfa_failures:i mfa_locked_until?:i created_at:i last_signin_at?:i rev:i",
    "backup_codes": "id account_id code_mac:b kid used_at?:i",
    "signin_codes": "id email nonce:b code_mac:b kid prelogin_mac:b ip attempts:i created_at:i "
    "expires_at:i used_at?:i",
    "signin_links": "id account_id token_mac:b kid invite_id? created_by created_at:i "
    "expires_at:i used_at?:i void_at?:i",
    "web_sessions": "id account_id token_mac:b kid created_at:i last_seen_at:i expires_at:i "
    "mfa_at?:i ip user_agent revoked_at?:i",
    "agents": "id key name status disabled_reason? trust tz session_scope policy_revision:i tags "
    "created_by created_at:i deleted_at?:i rev:i",
    "members": "id agent_id account_id? local_name? role state state_at:i state_by created_at:i "
    "rev:i",
    "member_labels": "member_id kind value",
    "invites": "id agent_id member_id email role kid created_by created_at:i expires_at:i "
    "accepted_at?:i revoked_at?:i sent_at?:i",
    "member_keys": "id key_id agent_id member_id srv_kid verifier:b seal_public:b seal_mac:b "
    "created_at:i last_used_day?:i ended_at?:i ended_kind? ended_reason? ended_by?",
    "services": "id agent_id key connector_sha256 state catalogue issuer? client_id? "
    "client_secret_ct?:b secret_kid? secret_set_at?:i era? era_at?:i tools_hash? discovered_at?:i "
    "drift last_error? created_at:i rev:i",
    "tools": "service_id name definition? hash? tier tier_source override_tier? status "
    "exclude_reason? acked_hash? first_seen_at:i last_seen_at:i",
    "tool_changes": "id service_id tool kind old_definition? new_definition? broken_policies at:i "
    "acked_at?:i acked_by?",
    "connections": "id agent_id member_id service_id state origin placement account_label? issuer? "
    "scopes? access_expires_at?:i refreshable:i refresh_due:i missing_scopes? pending_ct?:b "
    "pending_kid? pending_expires_at?:i sealed_ct?:b sealed_suite?:i outer_kid? sealed_key_id? "
    "generation:i last_used_at?:i last_refresh_at?:i error? created_at:i updated_at:i rev:i",
    "oauth_flows": "id state_mac:b kid web_session_id? agent_id member_id service_id connection_id "
    "issuer token_endpoint redirect_uri resource verifier_ct:b tokens_ct?:b scopes created_at:i "
    "expires_at:i used_at?:i",
    "refresh_intents": "connection_id generation:i key_id kid rt_mac:b phase started_at:i",
    "policies": "id agent_id key scope_member_id? current_version:i created_at:i deleted_at?:i",
    "policy_versions": "policy_id version:i name text sha256:b enabled:i mode statements:i "
    "projection cause note? rolled_back_from?:i created_by created_at:i",
    "policy_revisions": "agent_id revision:i manifest set_sha256:b schema_sha256:b mac:b kid cause "
    "actor at:i",
    "tool_sessions": "id agent_id member_id member_key_id external_mac:b external_id? id_source "
    "agent_type? client_name? client_version? created_at:i last_activity_at:i calls:i denials:i "
    "terminated_at?:i terminated_reason?",
    "tool_session_counts": "session_id kind name n:i",
    "audit": "seq:i id ts:i kind call_id? ref? agent_id? member_id? key_id? session_id? service? "
    "tool? decision? reason_code? body prev:b hash:b epoch:i",
    "schemas": "sha256:b services:b",
    "audit_policies": "seq:i policy_id version:i statement:i effect mode",
    "audit_args": "call_id kid ct:b expires_at:i",
    "audit_checkpoints": "epoch:i size:i root:b note at:i exported:i",
    "audit_anchors": "to_seq:i from_seq:i count:i last_hash:b root:b frontier:b export_sha256:b "
    "note at:i",
    "audit_facets": "agent_id kind value last_seq:i",
    "audit_hourly": "agent_id hour:i service tool decision n:i sum_us:i max_us:i",
    "audit_hourly_policy": "agent_id hour:i policy_id decision n:i",
}

PRIMARY_KEYS: dict[str, str] = {
    "meta": "key",
    "key_usage": "kid purpose",
    "member_labels": "member_id kind value",
    "tools": "service_id name",
    "refresh_intents": "connection_id",
    "policy_versions": "policy_id version",
    "policy_revisions": "agent_id revision",
    "tool_session_counts": "session_id kind name",
    "audit": "seq",
    "schemas": "sha256",
    "audit_policies": "seq policy_id version statement",
    "audit_args": "call_id",
    "audit_checkpoints": "epoch size",
    "audit_anchors": "to_seq",
    "audit_facets": "agent_id kind value",
    "audit_hourly": "agent_id hour service tool decision",
    "audit_hourly_policy": "agent_id hour policy_id decision",
}
"""Of every other table: `id`."""

FOREIGN: dict[str, set[tuple[str, str]]] = {
    "backup_codes": {("account_id", "accounts")},
    "signin_links": {("account_id", "accounts"), ("invite_id", "invites")},
    "web_sessions": {("account_id", "accounts")},
    "members": {("agent_id", "agents"), ("account_id", "accounts")},
    "member_labels": {("member_id", "members")},
    "invites": {("agent_id", "agents"), ("member_id", "members")},
    "member_keys": {("agent_id", "agents"), ("member_id", "members")},
    "services": {("agent_id", "agents")},
    "tools": {("service_id", "services")},
    "tool_changes": {("service_id", "services")},
    "connections": {("agent_id", "agents"), ("member_id", "members"), ("service_id", "services")},
    "oauth_flows": {
        ("web_session_id", "web_sessions"),
        ("agent_id", "agents"),
        ("member_id", "members"),
        ("service_id", "services"),
    },
    "refresh_intents": {("connection_id", "connections")},
    "policies": {("agent_id", "agents"), ("scope_member_id", "members")},
    "policy_versions": {("policy_id", "policies")},
    "policy_revisions": {("agent_id", "agents")},
    "tool_sessions": {
        ("agent_id", "agents"),
        ("member_id", "members"),
        ("member_key_id", "member_keys"),
    },
    "tool_session_counts": {("session_id", "tool_sessions")},
}

UNIQUE, PLAIN = True, False
_LIVE_MEMBER = "state NOT IN ('rejected', 'removed')"
_OPEN_INVITE = "accepted_at IS NULL AND revoked_at IS NULL"
INDEXES: set[tuple[str, str, bool, str | None]] = {
    ("accounts", "email", UNIQUE, None),
    ("backup_codes", "account_id", PLAIN, None),
    ("signin_codes", "email created_at", PLAIN, None),
    ("signin_links", "token_mac", UNIQUE, None),
    ("signin_links", "account_id", UNIQUE, "used_at IS NULL AND void_at IS NULL"),
    ("web_sessions", "token_mac", UNIQUE, None),
    ("web_sessions", "account_id", PLAIN, None),
    ("agents", "key", UNIQUE, None),
    ("members", "agent_id account_id", UNIQUE, _LIVE_MEMBER),
    ("members", "agent_id local_name", UNIQUE, _LIVE_MEMBER),
    ("members", "agent_id state", PLAIN, None),
    ("invites", "member_id", UNIQUE, _OPEN_INVITE),
    ("member_keys", "key_id", UNIQUE, None),
    ("member_keys", "member_id", UNIQUE, "ended_at IS NULL"),
    ("services", "agent_id key", UNIQUE, "state <> 'removed'"),
    ("tool_changes", "service_id acked_at", PLAIN, None),
    ("connections", "member_id service_id", UNIQUE, None),
    ("connections", "pending_kid", PLAIN, None),
    ("connections", "outer_kid", PLAIN, None),
    ("connections", "pending_expires_at", PLAIN, None),
    ("oauth_flows", "state_mac", UNIQUE, None),
    ("policies", "agent_id key", UNIQUE, None),
    ("tool_sessions", "external_mac", UNIQUE, "terminated_at IS NULL"),
    ("tool_sessions", "agent_id last_activity_at", PLAIN, None),
    ("audit", "id", UNIQUE, None),
    ("audit", "call_id kind", UNIQUE, "call_id IS NOT NULL"),
    ("audit", "agent_id ref", UNIQUE, "ref IS NOT NULL"),
    ("audit", "ref", PLAIN, "ref IS NOT NULL"),
    ("audit", "agent_id seq", PLAIN, None),
    ("audit", "agent_id decision seq", PLAIN, "decision IS NOT NULL"),
    ("audit", "member_id seq", PLAIN, "member_id IS NOT NULL"),
    ("audit", "agent_id service tool seq", PLAIN, "service IS NOT NULL"),
    ("audit", "session_id seq", PLAIN, "session_id IS NOT NULL"),
    ("audit", "ts", PLAIN, None),
    ("audit_policies", "policy_id seq", PLAIN, None),
    ("audit_args", "expires_at", PLAIN, None),
}

TRIGGERS: set[tuple[str, str]] = {
    ("policy_versions", "UPDATE"),
    ("policy_versions", "DELETE"),
    ("audit", "UPDATE"),
    ("schemas", "UPDATE"),
    ("audit", "DELETE"),
}
