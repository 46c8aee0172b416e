-- The first schema, in the words that SQLite and Postgres share. Ids and digests are text; instants are UTC with
-- microseconds; addresses carry a 32-digit sort key beside the shown form, so that a CIDR is one index range.
-- Texts that people search or sort by have a folded twin (`search`, `name_sort`, `…_key`), because the two databases
-- neither fold nor collate alike.

CREATE TABLE meta (
    name TEXT NOT NULL CONSTRAINT meta_pkey PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE accounts (
    id TEXT NOT NULL CONSTRAINT accounts_pkey PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL CONSTRAINT accounts_name_key UNIQUE,
    name_sort TEXT NOT NULL,
    search TEXT NOT NULL,
    display_name TEXT NOT NULL,
    email TEXT,
    role TEXT NOT NULL,
    member_of TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    password_changed_at TIMESTAMP NOT NULL,
    password_set_by_other BOOLEAN NOT NULL,
    must_change_password BOOLEAN NOT NULL,
    disabled_at TIMESTAMP,
    expires_at TIMESTAMP,
    expired_at TIMESTAMP,
    expired_by TEXT,
    created_at TIMESTAMP NOT NULL,
    activated_at TIMESTAMP NOT NULL,
    last_sign_in_at TIMESTAMP,
    last_session_ended_at TIMESTAMP
);
CREATE INDEX accounts_name_sort ON accounts (name_sort, name_key);
CREATE INDEX accounts_role ON accounts (role, name_sort, name_key);
CREATE INDEX accounts_usable ON accounts (id) WHERE disabled_at IS NULL AND expired_at IS NULL;
CREATE INDEX accounts_disabled ON accounts (name_sort, name_key) WHERE disabled_at IS NOT NULL;
CREATE INDEX accounts_expired ON accounts (name_sort, name_key) WHERE expired_at IS NOT NULL;
CREATE INDEX accounts_must_change ON accounts (name_sort, name_key) WHERE must_change_password;

CREATE TABLE password_history (
    account_id TEXT NOT NULL,
    changed_at TIMESTAMP NOT NULL,
    password_hash TEXT NOT NULL,
    CONSTRAINT password_history_pkey PRIMARY KEY (account_id, changed_at, password_hash),
    CONSTRAINT password_history_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);

CREATE TABLE known_networks (
    account_id TEXT NOT NULL,
    network TEXT NOT NULL,
    seen_at TIMESTAMP NOT NULL,
    CONSTRAINT known_networks_pkey PRIMARY KEY (account_id, network),
    CONSTRAINT known_networks_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);

CREATE TABLE sessions (
    id TEXT NOT NULL CONSTRAINT sessions_pkey PRIMARY KEY,
    account_id TEXT NOT NULL,
    signed_in_at TIMESTAMP NOT NULL,
    last_active_at TIMESTAMP NOT NULL,
    last_seen_at TIMESTAMP NOT NULL,
    ip TEXT NOT NULL,
    ip_key TEXT NOT NULL,
    signed_in_ip TEXT NOT NULL,
    user_agent TEXT,
    accepted_v4 TEXT,
    accepted_v6 TEXT,
    network_changes INTEGER NOT NULL,
    first_change_at TIMESTAMP,
    user_agent_mismatches INTEGER NOT NULL,
    ended_at TIMESTAMP,
    end_reason TEXT,
    ended_by TEXT,
    CONSTRAINT sessions_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
-- `ended_at` stands at the end of these so that SQLite counts from the index alone; nowhere at the front of one for
-- live sessions, or SQLite would prefer it to all others. `sessions_live` is for counting: the smallest of all.
CREATE INDEX sessions_account ON sessions (account_id, ended_at);
CREATE INDEX sessions_live ON sessions (user_agent_mismatches, ended_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_id ON sessions (id) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_active ON sessions (last_active_at, id, ended_at, last_seen_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_signed_in ON sessions (signed_in_at, id, ended_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_ip ON sessions (ip_key, ended_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_flagged
    ON sessions (last_active_at, id, ended_at, network_changes, user_agent_mismatches)
    WHERE ended_at IS NULL AND (network_changes > 0 OR user_agent_mismatches > 0);
CREATE INDEX sessions_ended ON sessions (ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_ended_active ON sessions (last_active_at, id, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_ended_ip ON sessions (ip_key, ended_at) WHERE ended_at IS NOT NULL;

-- The applications that a session entered; `live` repeats "the session has not ended", so that a filter by
-- application is an index range of live sessions.
CREATE TABLE session_applications (
    session_id TEXT NOT NULL,
    application TEXT NOT NULL,
    live BOOLEAN NOT NULL,
    CONSTRAINT session_applications_pkey PRIMARY KEY (session_id, application),
    CONSTRAINT session_applications_session_id FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE INDEX session_applications_live ON session_applications (application, session_id, live) WHERE live;

CREATE TABLE session_tokens (
    digest TEXT NOT NULL CONSTRAINT session_tokens_pkey PRIMARY KEY,
    session_id TEXT NOT NULL,
    host TEXT NOT NULL,
    cookie_form TEXT NOT NULL,
    issued_at TIMESTAMP NOT NULL,
    rotated_at TIMESTAMP,
    rotated_from TEXT,
    rotated_to TEXT,
    killed_at TIMESTAMP,
    CONSTRAINT session_tokens_session_id FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE INDEX session_tokens_session ON session_tokens (session_id);

CREATE TABLE lockouts (
    id TEXT NOT NULL CONSTRAINT lockouts_pkey PRIMARY KEY,
    digest TEXT NOT NULL CONSTRAINT lockouts_digest UNIQUE,
    kind TEXT NOT NULL,
    ip TEXT,
    account_key TEXT,
    user_agent TEXT,
    ip_key TEXT,
    search TEXT NOT NULL,
    counter TEXT NOT NULL,
    failures INTEGER NOT NULL,
    locked BOOLEAN NOT NULL,
    counting BOOLEAN NOT NULL,
    locked_at TIMESTAMP,
    blocked_until TIMESTAMP,
    last_attempt_at TIMESTAMP NOT NULL,
    last_ip TEXT,
    names_tried TEXT NOT NULL,
    refused BIGINT NOT NULL,
    refused_minute BIGINT NOT NULL
);
CREATE INDEX lockouts_last_attempt ON lockouts (last_attempt_at, id);
CREATE INDEX lockouts_locked ON lockouts (last_attempt_at, id) WHERE locked;
CREATE INDEX lockouts_due ON lockouts (locked_at, id) WHERE locked;
CREATE INDEX lockouts_counting ON lockouts (last_attempt_at, id) WHERE counting;
CREATE INDEX lockouts_account ON lockouts (account_key) WHERE account_key IS NOT NULL;
CREATE INDEX lockouts_ip ON lockouts (ip_key) WHERE ip_key IS NOT NULL;

CREATE TABLE policies (
    revision BIGINT NOT NULL CONSTRAINT policies_pkey PRIMARY KEY,
    saved_at TIMESTAMP NOT NULL,
    author TEXT NOT NULL,
    reason TEXT NOT NULL,
    kind TEXT NOT NULL,
    document TEXT NOT NULL,
    changes TEXT NOT NULL,
    confirm_by TIMESTAMP,
    confirmed BOOLEAN NOT NULL
);

-- The policy keys that each running instance has pinned by its environment.
CREATE TABLE pins (
    instance TEXT NOT NULL CONSTRAINT pins_pkey PRIMARY KEY,
    published_at TIMESTAMP NOT NULL,
    document TEXT NOT NULL
);

-- No foreign keys: what happened stays on record when the account and the session are gone.
CREATE TABLE audit (
    id TEXT NOT NULL CONSTRAINT audit_pkey PRIMARY KEY,
    happened_at TIMESTAMP NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_key TEXT NOT NULL,
    actor_id TEXT,
    account TEXT,
    account_key TEXT,
    account_id TEXT,
    session_id TEXT,
    ip TEXT,
    ip_key TEXT,
    user_agent TEXT,
    application TEXT,
    outcome TEXT NOT NULL,
    reason TEXT,
    detail TEXT NOT NULL,
    request_id TEXT,
    search TEXT NOT NULL
);
CREATE INDEX audit_happened ON audit (happened_at, id);
CREATE INDEX audit_failure ON audit (happened_at, id, outcome) WHERE outcome = 'failure';
CREATE INDEX audit_event ON audit (event, happened_at, id);
CREATE INDEX audit_actor ON audit (actor_key, happened_at, id);
CREATE INDEX audit_account ON audit (account_key, happened_at, id) WHERE account_key IS NOT NULL;
CREATE INDEX audit_account_id ON audit (account_id, happened_at, id) WHERE account_id IS NOT NULL;
CREATE INDEX audit_session ON audit (session_id, happened_at, id) WHERE session_id IS NOT NULL;
CREATE INDEX audit_ip ON audit (ip_key) WHERE ip_key IS NOT NULL;

CREATE TABLE setup_tokens (
    digest TEXT NOT NULL CONSTRAINT setup_tokens_pkey PRIMARY KEY,
    created_at TIMESTAMP NOT NULL
);

-- What other instances must forget. The counter's row lock makes the order of `seq` the order of commits, without gaps.
CREATE TABLE change_counter (
    id SMALLINT NOT NULL CONSTRAINT change_counter_pkey PRIMARY KEY,
    seq BIGINT NOT NULL,
    CONSTRAINT change_counter_one_row CHECK (id = 1)
);
INSERT INTO change_counter (id, seq) VALUES (1, 0);

CREATE TABLE changes (
    seq BIGINT NOT NULL CONSTRAINT changes_pkey PRIMARY KEY,
    changed_at TIMESTAMP NOT NULL,
    writer TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL
);
