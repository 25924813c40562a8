-- The whole database of wicketd, as release 2 of the schema (PRAGMA user_version = 2) creates it.
--
-- SQLite, STRICT tables, WAL, synchronous=FULL, foreign_keys=ON, secure_delete=ON, one writer
-- thread (wicketd/storage/writer.py). Ids are UUIDv7 TEXT; times (`…_at`, `at`, `ts`) INTEGER ms since 1970
-- UTC; `…_ct` whole envelopes (security specification, 2); `…mac` 32 bytes; `rev` counts changes of the
-- row from 1 and is the admin API's ETag; JSON is canonical text, read and written in Python only.
-- Source: product specification, section 4. A change here needs `wicketd/storage/migrations/<n>.sql`.


-- ── Installation ─────────────────────────────────────────────────────────────────────────────────────

-- Facts about the installation: schema_version, install_id, keyring_check:<kid>, audit_origin,
-- clock_high_water. Written at init and start; `probe` is the write probe's and never stays. Kept for ever.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Encryptions per server key and purpose, reserved ahead in blocks, so that a random nonce never meets
-- itself: warn at 2^30, refuse at 2^32. Written by whoever encrypts; kept as long as the kid.
CREATE TABLE key_usage (
    kid         TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    encryptions INTEGER NOT NULL CHECK (encryptions >= 0),
    PRIMARY KEY (kid, purpose)
) STRICT, WITHOUT ROWID;


-- ── People and the portal ────────────────────────────────────────────────────────────────────────────

-- A mailbox that may sign in to the portal, with its second factor. Written by invitations and the
-- portal; never deleted, because members and the audit name it.
CREATE TABLE accounts (
    id                TEXT PRIMARY KEY NOT NULL,
    email             TEXT NOT NULL UNIQUE CHECK (length(email) BETWEEN 3 AND 254),
    verified_at       INTEGER,
    status            TEXT NOT NULL CHECK (status IN ('active', 'blocked')),
    totp_ct           BLOB,
    totp_kid          TEXT,
    totp_confirmed_at INTEGER,
    totp_last_step    INTEGER,
    mfa_failures      INTEGER NOT NULL,
    mfa_locked_until  INTEGER,
    created_at        INTEGER NOT NULL,
    last_signin_at    INTEGER,
    rev               INTEGER NOT NULL CHECK (rev >= 1),
    CHECK ((totp_ct IS NULL) = (totp_kid IS NULL))
) STRICT;

-- Ten one-way codes that stand in for a lost authenticator. Written when made and when used; replaced as
-- a set.
CREATE TABLE backup_codes (
    id         TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    code_mac   BLOB NOT NULL CHECK (length(code_mac) = 32),
    kid        TEXT NOT NULL,
    used_at    INTEGER
) STRICT;
CREATE INDEX ix_backup_codes_account_id ON backup_codes (account_id);

-- Sign-in codes sent by mail: 10 minutes, single use, 5 tries, bound to the browser that asked. Swept.
CREATE TABLE signin_codes (
    id           TEXT PRIMARY KEY NOT NULL,
    email        TEXT NOT NULL,
    nonce        BLOB NOT NULL CHECK (length(nonce) = 16),
    code_mac     BLOB NOT NULL CHECK (length(code_mac) = 32),
    kid          TEXT NOT NULL,
    prelogin_mac BLOB NOT NULL CHECK (length(prelogin_mac) = 32),
    ip           TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    used_at      INTEGER
) STRICT;
CREATE INDEX ix_signin_codes_email_created_at ON signin_codes (email, created_at);

-- One agent: the unit that owns members, services and policies. Written by admins; a deleted one keeps
-- its row and its key for ever, so that audit rows stay readable and no key means two things.
CREATE TABLE agents (
    id              TEXT PRIMARY KEY NOT NULL,
    key             TEXT NOT NULL UNIQUE
                    CHECK (key GLOB '[a-z]*' AND key NOT GLOB '*[^a-z0-9-]*' AND length(key) <= 40),
    name            TEXT NOT NULL CHECK (length(name) <= 80),
    status          TEXT NOT NULL CHECK (status IN ('active', 'disabled', 'deleted')),
    disabled_reason TEXT,
    trust           TEXT NOT NULL CHECK (trust IN ('trusted', 'untrusted')),
    tz              TEXT NOT NULL,
    session_scope   TEXT NOT NULL CHECK (session_scope IN ('conversation', 'key')),
    policy_revision INTEGER NOT NULL CHECK (policy_revision >= 0),
    tags            TEXT NOT NULL,
    created_by      TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    deleted_at      INTEGER,
    rev             INTEGER NOT NULL CHECK (rev >= 1)
) STRICT;

-- A membership: an account, or (local) a name without a mailbox. Written by admins and the portal; final
-- states stay, and the same person comes back as a new row, because ciphertexts bind to the id.
CREATE TABLE members (
    id         TEXT PRIMARY KEY NOT NULL,
    agent_id   TEXT NOT NULL REFERENCES agents (id),
    account_id TEXT REFERENCES accounts (id),
    local_name TEXT
               CHECK (local_name GLOB '[a-z0-9]*' AND local_name NOT GLOB '*[^a-z0-9._-]*'
                      AND length(local_name) <= 40),
    role       TEXT NOT NULL CHECK (role IN ('owner', 'member')),
    state      TEXT NOT NULL CHECK (state IN ('invited', 'pending', 'approved', 'rejected', 'removed')),
    state_at   INTEGER NOT NULL,
    state_by   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    rev        INTEGER NOT NULL CHECK (rev >= 1),
    CHECK ((account_id IS NULL) <> (local_name IS NULL))
) STRICT;
CREATE UNIQUE INDEX ux_members_agent_id_account_id ON members (agent_id, account_id)
    WHERE state NOT IN ('rejected', 'removed');
CREATE UNIQUE INDEX ux_members_agent_id_local_name ON members (agent_id, local_name)
    WHERE state NOT IN ('rejected', 'removed');
CREATE INDEX ix_members_agent_id_state ON members (agent_id, state);

-- Groups (Cedar parents `Wicket::Group`) and tags (a Cedar attribute) of a member. Written by admins,
-- replaced as a set.
CREATE TABLE member_labels (
    member_id TEXT NOT NULL REFERENCES members (id),
    kind      TEXT NOT NULL CHECK (kind IN ('group', 'tag')),
    value     TEXT NOT NULL CHECK (length(value) BETWEEN 1 AND 64 AND value NOT GLOB '*[^A-Za-z0-9_.-]*'),
    PRIMARY KEY (member_id, kind, value)
) STRICT, WITHOUT ROWID;

-- An invitation to one address; the token is an HMAC over the row and is not stored. At most one is
-- open for a member. Kept for the audit.
CREATE TABLE invites (
    id          TEXT PRIMARY KEY NOT NULL,
    agent_id    TEXT NOT NULL REFERENCES agents (id),
    member_id   TEXT NOT NULL REFERENCES members (id),
    email       TEXT NOT NULL,
    role        TEXT NOT NULL CHECK (role IN ('owner', 'member')),
    kid         TEXT NOT NULL,
    created_by  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    accepted_at INTEGER,
    revoked_at  INTEGER,
    sent_at     INTEGER
) STRICT;
CREATE UNIQUE INDEX ux_invites_member_id ON invites (member_id)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;

-- An administrator's single-use sign-in link (mail = "off"), 24 hours; a newer one voids the older.
CREATE TABLE signin_links (
    id         TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    token_mac  BLOB NOT NULL UNIQUE CHECK (length(token_mac) = 32),
    kid        TEXT NOT NULL,
    invite_id  TEXT REFERENCES invites (id),
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    void_at    INTEGER
) STRICT;
CREATE UNIQUE INDEX ux_signin_links_account_id ON signin_links (account_id)
    WHERE used_at IS NULL AND void_at IS NULL;

-- A portal session: idle 12 hours, absolute 7 days. Written by the portal, swept after its end.
CREATE TABLE web_sessions (
    id           TEXT PRIMARY KEY NOT NULL,
    account_id   TEXT NOT NULL REFERENCES accounts (id),
    token_mac    BLOB NOT NULL UNIQUE CHECK (length(token_mac) = 32),
    kid          TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    mfa_at       INTEGER,
    ip           TEXT NOT NULL,
    user_agent   TEXT NOT NULL CHECK (length(user_agent) <= 200),
    revoked_at   INTEGER
) STRICT;
CREATE INDEX ix_web_sessions_account_id ON web_sessions (account_id);

-- What is left of a member key: a keyed verifier and the public half that deposits are sealed to, both
-- under srv_kid, never the key. One is active per member. Kept for the audit.
CREATE TABLE member_keys (
    id            TEXT PRIMARY KEY NOT NULL,
    key_id        TEXT NOT NULL UNIQUE CHECK (length(key_id) = 8),
    agent_id      TEXT NOT NULL REFERENCES agents (id),
    member_id     TEXT NOT NULL REFERENCES members (id),
    srv_kid       TEXT NOT NULL,
    verifier      BLOB NOT NULL CHECK (length(verifier) = 32),
    seal_public   BLOB NOT NULL CHECK (length(seal_public) = 32),
    seal_mac      BLOB NOT NULL CHECK (length(seal_mac) = 32),
    created_at    INTEGER NOT NULL,
    last_used_day INTEGER,
    ended_at      INTEGER,
    ended_kind    TEXT CHECK (ended_kind IN ('superseded', 'revoked')),
    ended_reason  TEXT,
    ended_by      TEXT,
    CHECK ((ended_at IS NULL) = (ended_kind IS NULL))
) STRICT;
CREATE UNIQUE INDEX ux_member_keys_member_id ON member_keys (member_id) WHERE ended_at IS NULL;


-- ── Services and tools ───────────────────────────────────────────────────────────────────────────────

-- A connector enabled on an agent, its app secret (write-only) and what discovery found. A removed one
-- keeps its row without the secret; enabling again makes a new one.
CREATE TABLE services (
    id               TEXT PRIMARY KEY NOT NULL,
    agent_id         TEXT NOT NULL REFERENCES agents (id),
    key              TEXT NOT NULL,
    connector_sha256 TEXT NOT NULL,
    state            TEXT NOT NULL CHECK (state IN ('enabled', 'disabled', 'removed')),
    catalogue        TEXT NOT NULL CHECK (catalogue IN ('declared', 'discovered')),
    issuer           TEXT,
    client_id        TEXT,
    client_secret_ct BLOB,
    secret_kid       TEXT,
    secret_set_at    INTEGER,
    era              TEXT CHECK (era IN ('legacy', 'modern', 'incompatible')),
    era_at           INTEGER,
    tools_hash       TEXT,
    discovered_at    INTEGER,
    drift            TEXT NOT NULL CHECK (drift IN ('clean', 'flagged')),
    last_error       TEXT,
    created_at       INTEGER NOT NULL,
    rev              INTEGER NOT NULL CHECK (rev >= 1),
    CHECK ((client_secret_ct IS NULL) = (secret_kid IS NULL))
) STRICT;
CREATE UNIQUE INDEX ux_services_agent_id_key ON services (agent_id, key) WHERE state <> 'removed';

-- A tool as its server defined it, or (definition NULL) as the connector file declares it. Written by
-- discovery and by admins (override, acknowledgement); excluded and gone tools stay and are never called.
CREATE TABLE tools (
    service_id     TEXT NOT NULL REFERENCES services (id),
    name           TEXT NOT NULL,
    definition     TEXT,
    hash           TEXT,
    tier           TEXT NOT NULL CHECK (tier IN ('read', 'write', 'destructive')),
    tier_source    TEXT NOT NULL CHECK (tier_source IN ('override', 'catalogue', 'annotations', 'default')),
    override_tier  TEXT CHECK (override_tier IN ('read', 'write', 'destructive')),
    status         TEXT NOT NULL CHECK (status IN ('active', 'excluded', 'gone')),
    exclude_reason TEXT,
    acked_hash     TEXT,
    first_seen_at  INTEGER NOT NULL,
    last_seen_at   INTEGER NOT NULL,
    PRIMARY KEY (service_id, name)
) STRICT;

-- What drift found: one row per change of a tool, open until an admin acknowledges it.
CREATE TABLE tool_changes (
    id              TEXT PRIMARY KEY NOT NULL,
    service_id      TEXT NOT NULL REFERENCES services (id),
    tool            TEXT NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('added', 'changed', 'removed')),
    old_definition  TEXT,
    new_definition  TEXT,
    broken_policies TEXT NOT NULL,
    at              INTEGER NOT NULL,
    acked_at        INTEGER,
    acked_by        TEXT
) STRICT;
CREATE INDEX ix_tool_changes_service_id_acked_at ON tool_changes (service_id, acked_at);


-- ── Credentials ──────────────────────────────────────────────────────────────────────────────────────

-- A member's credential for one service: pending under the server layer, or sealed under the member's;
-- never both. origin and placement say where it may go. Ended states hold no ciphertext.
CREATE TABLE connections (
    id                 TEXT PRIMARY KEY NOT NULL,
    agent_id           TEXT NOT NULL REFERENCES agents (id),
    member_id          TEXT NOT NULL REFERENCES members (id),
    service_id         TEXT NOT NULL REFERENCES services (id),
    state              TEXT NOT NULL
                       CHECK (state IN ('pending', 'sealed', 'needs_reconnect', 'revoked', 'expired')),
    origin             TEXT NOT NULL,
    placement          TEXT NOT NULL,
    account_label      TEXT,
    issuer             TEXT,
    scopes             TEXT,
    access_expires_at  INTEGER,
    refreshable        INTEGER NOT NULL CHECK (refreshable IN (0, 1)),
    refresh_due        INTEGER NOT NULL CHECK (refresh_due IN (0, 1)),
    missing_scopes     TEXT,
    pending_ct         BLOB,
    pending_kid        TEXT,
    pending_expires_at INTEGER,
    sealed_ct          BLOB,
    sealed_suite       INTEGER CHECK (sealed_suite IN (1, 2)),
    outer_kid          TEXT,
    sealed_key_id      TEXT,
    generation         INTEGER NOT NULL CHECK (generation >= 0),
    last_used_at       INTEGER,
    last_refresh_at    INTEGER,
    error              TEXT,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    rev                INTEGER NOT NULL CHECK (rev >= 1),
    UNIQUE (member_id, service_id),
    CHECK (pending_ct IS NULL OR sealed_ct IS NULL),
    CHECK ((pending_ct IS NULL) = (pending_kid IS NULL)),
    CHECK ((sealed_ct IS NULL) = (outer_kid IS NULL)),
    CHECK (state <> 'pending' OR pending_ct IS NOT NULL),
    CHECK (state <> 'sealed' OR sealed_ct IS NOT NULL),
    CHECK (state NOT IN ('revoked', 'expired') OR (pending_ct IS NULL AND sealed_ct IS NULL))
) STRICT;
CREATE INDEX ix_connections_pending_kid ON connections (pending_kid);
CREATE INDEX ix_connections_outer_kid ON connections (outer_kid);
CREATE INDEX ix_connections_pending_expires_at ON connections (pending_expires_at);

-- One OAuth attempt, 10 minutes. connection_id is the row's that it will fill, or a new one; tokens_ct
-- holds the tokens until the member confirms the account. Swept.
CREATE TABLE oauth_flows (
    id             TEXT PRIMARY KEY NOT NULL,
    state_mac      BLOB NOT NULL UNIQUE CHECK (length(state_mac) = 32),
    kid            TEXT NOT NULL,
    web_session_id TEXT REFERENCES web_sessions (id),
    agent_id       TEXT NOT NULL REFERENCES agents (id),
    member_id      TEXT NOT NULL REFERENCES members (id),
    service_id     TEXT NOT NULL REFERENCES services (id),
    connection_id  TEXT NOT NULL,
    issuer         TEXT NOT NULL,
    token_endpoint TEXT NOT NULL,
    redirect_uri   TEXT NOT NULL,
    resource       TEXT NOT NULL,
    verifier_ct    BLOB NOT NULL,
    tokens_ct      BLOB,
    scopes         TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    used_at        INTEGER
) STRICT;

-- A token refresh that has begun: committed before the request leaves, cleared with its result, so that
-- a crash between the two is known.
CREATE TABLE refresh_intents (
    connection_id TEXT PRIMARY KEY NOT NULL REFERENCES connections (id),
    generation    INTEGER NOT NULL,
    key_id        TEXT NOT NULL,
    kid           TEXT NOT NULL,
    rt_mac        BLOB NOT NULL CHECK (length(rt_mac) = 32),
    phase         TEXT NOT NULL CHECK (phase IN ('started', 'sent')),
    started_at    INTEGER NOT NULL
) STRICT;


-- ── Policies ─────────────────────────────────────────────────────────────────────────────────────────

-- A policy record. Its key is never reused, so deleted records stay. Written by policy changes.
CREATE TABLE policies (
    id              TEXT PRIMARY KEY NOT NULL,
    agent_id        TEXT NOT NULL REFERENCES agents (id),
    key             TEXT NOT NULL,
    scope_member_id TEXT REFERENCES members (id),
    current_version INTEGER NOT NULL CHECK (current_version >= 1),
    created_at      INTEGER NOT NULL,
    deleted_at      INTEGER,
    UNIQUE (agent_id, key)
) STRICT;

-- The immutable versions of a record; every change of text, name, mode or switch is a new one. Kept for
-- ever: audit rows name them.
CREATE TABLE policy_versions (
    policy_id        TEXT NOT NULL REFERENCES policies (id),
    version          INTEGER NOT NULL CHECK (version >= 1),
    name             TEXT NOT NULL CHECK (length(name) <= 120),
    text             TEXT NOT NULL CHECK (length(CAST(text AS BLOB)) <= 65536),
    sha256           BLOB NOT NULL CHECK (length(sha256) = 32),
    enabled          INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    mode             TEXT NOT NULL CHECK (mode IN ('enforce', 'shadow')),
    statements       INTEGER NOT NULL,
    projection       TEXT NOT NULL,
    cause            TEXT NOT NULL,
    note             TEXT CHECK (length(note) <= 500),
    rolled_back_from INTEGER,
    created_by       TEXT NOT NULL,
    created_at       INTEGER NOT NULL,
    PRIMARY KEY (policy_id, version)
) STRICT;
CREATE TRIGGER tr_policy_versions_update BEFORE UPDATE ON policy_versions
BEGIN
    SELECT RAISE(ABORT, 'policy versions are immutable');
END;
CREATE TRIGGER tr_policy_versions_delete BEFORE DELETE ON policy_versions
BEGIN
    SELECT RAISE(ABORT, 'policy versions are immutable');
END;

-- One row per change of an agent's set: manifest (JSON [[policy key, version], …]), hashes and a MAC that
-- are checked whenever a set is loaded, so an edited database cannot slip a policy in. Kept for ever.
CREATE TABLE policy_revisions (
    agent_id      TEXT NOT NULL REFERENCES agents (id),
    revision      INTEGER NOT NULL CHECK (revision >= 0),
    manifest      TEXT NOT NULL,
    set_sha256    BLOB NOT NULL CHECK (length(set_sha256) = 32),
    schema_sha256 BLOB NOT NULL CHECK (length(schema_sha256) = 32),
    mac           BLOB NOT NULL CHECK (length(mac) = 32),
    kid           TEXT NOT NULL,
    cause         TEXT NOT NULL,
    actor         TEXT NOT NULL,
    at            INTEGER NOT NULL,
    PRIMARY KEY (agent_id, revision)
) STRICT;


-- ── Tool sessions ────────────────────────────────────────────────────────────────────────────────────

-- The counters that policies read as context.session; written in the transaction of each decided call.
-- external_mac finds the session of (member, key, source, id) without ever mixing two members.
CREATE TABLE tool_sessions (
    id                TEXT PRIMARY KEY NOT NULL CHECK (id GLOB 'ts_*' AND length(id) = 35),
    agent_id          TEXT NOT NULL REFERENCES agents (id),
    member_id         TEXT NOT NULL REFERENCES members (id),
    member_key_id     TEXT NOT NULL REFERENCES member_keys (id),
    external_mac      BLOB NOT NULL CHECK (length(external_mac) = 32),
    external_id       TEXT,
    id_source         TEXT NOT NULL,
    agent_type        TEXT,
    client_name       TEXT,
    client_version    TEXT,
    created_at        INTEGER NOT NULL,
    last_activity_at  INTEGER NOT NULL,
    calls             INTEGER NOT NULL,
    denials           INTEGER NOT NULL,
    terminated_at     INTEGER,
    terminated_reason TEXT
                      CHECK (terminated_reason IN ('inactivity', 'manual_reset', 'proxy_restart', 'key_ended')),
    CHECK ((terminated_at IS NULL) = (terminated_reason IS NULL))
) STRICT;
CREATE UNIQUE INDEX ux_tool_sessions_external_mac ON tool_sessions (external_mac)
    WHERE terminated_at IS NULL;
CREATE INDEX ix_tool_sessions_agent_id_last_activity_at ON tool_sessions (agent_id, last_activity_at);

-- Per session: allowed calls by tool (name `service__tool`), decided calls by policy key and side.
CREATE TABLE tool_session_counts (
    session_id TEXT NOT NULL REFERENCES tool_sessions (id),
    kind       TEXT NOT NULL CHECK (kind IN ('tool', 'allow', 'deny')),
    name       TEXT NOT NULL,
    n          INTEGER NOT NULL,
    PRIMARY KEY (session_id, kind, name)
) STRICT, WITHOUT ROWID;


-- ── Audit ────────────────────────────────────────────────────────────────────────────────────────────

-- The hash chain: seq has no gaps, hash = SHA-256(0x00 ‖ prev ‖ body), the other columns repeat fields of
-- body and verify compares them. Written by the journal only; rows leave in whole segments under a signed
-- anchor. The indexes are partial where a column is empty in most rows: each saves a write per row.
CREATE TABLE audit (
    seq         INTEGER PRIMARY KEY NOT NULL,
    id          TEXT NOT NULL UNIQUE,
    ts          INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    call_id     TEXT,
    ref         TEXT CHECK (length(ref) = 8),
    agent_id    TEXT,
    member_id   TEXT,
    key_id      TEXT,
    session_id  TEXT,
    service     TEXT,
    tool        TEXT,
    decision    TEXT CHECK (decision IN ('ALLOW', 'DENY')),
    reason_code TEXT,
    body        TEXT NOT NULL,
    prev        BLOB NOT NULL CHECK (length(prev) = 32),
    hash        BLOB NOT NULL CHECK (length(hash) = 32),
    epoch       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX ux_audit_call_id_kind ON audit (call_id, kind) WHERE call_id IS NOT NULL;
CREATE UNIQUE INDEX ux_audit_agent_id_ref ON audit (agent_id, ref) WHERE ref IS NOT NULL;
CREATE INDEX ix_audit_ref ON audit (ref) WHERE ref IS NOT NULL;
CREATE INDEX ix_audit_agent_id_seq ON audit (agent_id, seq);
CREATE INDEX ix_audit_agent_id_decision_seq ON audit (agent_id, decision, seq) WHERE decision IS NOT NULL;
CREATE INDEX ix_audit_member_id_seq ON audit (member_id, seq) WHERE member_id IS NOT NULL;
CREATE INDEX ix_audit_agent_id_service_tool_seq ON audit (agent_id, service, tool, seq)
    WHERE service IS NOT NULL;
CREATE INDEX ix_audit_session_id_seq ON audit (session_id, seq) WHERE session_id IS NOT NULL;
CREATE INDEX ix_audit_ts ON audit (ts);
CREATE TRIGGER tr_audit_update BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows are immutable');
END;

-- The tools behind the Cedar schema that a decision's body names (schemaSha256), as zlib-packed JSON:
-- with them a row is decided again under its own schema. Written with the first row under a schema; what
-- is read counts only if it gives that hash again. Kept for ever, one row per change of the tools.
CREATE TABLE schemas (
    sha256   BLOB PRIMARY KEY NOT NULL CHECK (length(sha256) = 32),
    services BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER tr_schemas_update BEFORE UPDATE ON schemas
BEGIN
    SELECT RAISE(ABORT, 'schemas are immutable');
END;

-- The determining statements of a decision, for "which calls did this policy decide".
CREATE TABLE audit_policies (
    seq       INTEGER NOT NULL,
    policy_id TEXT NOT NULL,
    version   INTEGER NOT NULL,
    statement INTEGER NOT NULL,
    effect    TEXT NOT NULL CHECK (effect IN ('permit', 'forbid')),
    mode      TEXT NOT NULL CHECK (mode IN ('enforce', 'shadow')),
    PRIMARY KEY (seq, policy_id, version, statement)
) STRICT, WITHOUT ROWID;
CREATE INDEX ix_audit_policies_policy_id_seq ON audit_policies (policy_id, seq);

-- Arguments of a call with their salt, sealed; the row's argsCommit proves them. Erased after 30 days by
-- default, without touching the chain.
CREATE TABLE audit_args (
    call_id    TEXT PRIMARY KEY NOT NULL,
    kid        TEXT NOT NULL,
    ct         BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX ix_audit_args_expires_at ON audit_args (expires_at);

-- Signed statements about the first `size` rows (C2SP tlog-checkpoint); also sent off this table.
CREATE TABLE audit_checkpoints (
    epoch    INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    root     BLOB NOT NULL CHECK (length(root) = 32),
    note     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    exported INTEGER NOT NULL CHECK (exported IN (0, 1)),
    PRIMARY KEY (epoch, size)
) STRICT, WITHOUT ROWID;

-- What retention removed, signed: verify starts behind the newest anchor, whose frontier carries roots on.
CREATE TABLE audit_anchors (
    to_seq        INTEGER PRIMARY KEY NOT NULL,
    from_seq      INTEGER NOT NULL,
    count         INTEGER NOT NULL,
    last_hash     BLOB NOT NULL CHECK (length(last_hash) = 32),
    root          BLOB NOT NULL CHECK (length(root) = 32),
    frontier      BLOB NOT NULL,
    export_sha256 BLOB NOT NULL CHECK (length(export_sha256) = 32),
    note          TEXT NOT NULL,
    at            INTEGER NOT NULL
) STRICT;
CREATE TRIGGER tr_audit_delete BEFORE DELETE ON audit
WHEN OLD.seq > coalesce((SELECT max(to_seq) FROM audit_anchors), 0)
BEGIN
    SELECT RAISE(ABORT, 'audit rows above the newest anchor stay');
END;

-- Values seen in the log, for completion and for exact filters, with the newest row that has each.
-- agent_id is '' for rows of no agent. Folded once per commit group.
CREATE TABLE audit_facets (
    agent_id TEXT NOT NULL,
    kind     TEXT NOT NULL,
    value    TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (agent_id, kind, value)
) STRICT, WITHOUT ROWID;

-- Calls per hour (ms of its start) and their durations, so that no dashboard scans the log. Folded.
CREATE TABLE audit_hourly (
    agent_id TEXT NOT NULL,
    hour     INTEGER NOT NULL,
    service  TEXT NOT NULL,
    tool     TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('ALLOW', 'DENY')),
    n        INTEGER NOT NULL,
    sum_us   INTEGER NOT NULL,
    max_us   INTEGER NOT NULL,
    PRIMARY KEY (agent_id, hour, service, tool, decision)
) STRICT, WITHOUT ROWID;

-- Calls per hour that each policy determined. Folded.
CREATE TABLE audit_hourly_policy (
    agent_id  TEXT NOT NULL,
    hour      INTEGER NOT NULL,
    policy_id TEXT NOT NULL,
    decision  TEXT NOT NULL CHECK (decision IN ('ALLOW', 'DENY')),
    n         INTEGER NOT NULL,
    PRIMARY KEY (agent_id, hour, policy_id, decision)
) STRICT, WITHOUT ROWID;
