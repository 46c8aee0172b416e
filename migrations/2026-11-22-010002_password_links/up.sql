-- Links that let the owner of an account choose a password: for one that was forgotten, or the first one of somebody invited. Only digests are kept. A link is bound
-- to the password that stood when it was made (`password_changed_at`) and to the address it was sent to: when either changes, it opens nothing.
CREATE TABLE password_links (
    digest TEXT NOT NULL CONSTRAINT password_links_pkey PRIMARY KEY,
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    email TEXT NOT NULL,
    password_changed_at TIMESTAMP NOT NULL,
    made_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    CONSTRAINT password_links_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX password_links_account ON password_links (account_id, kind);
CREATE INDEX password_links_expires ON password_links (expires_at);

-- Requests for a link as they were typed: whether there is such an account is looked up later, so that no answer can tell.
CREATE TABLE reset_requests (
    id TEXT NOT NULL CONSTRAINT reset_requests_pkey PRIMARY KEY,
    account_key TEXT NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT,
    request_id TEXT,
    requested_at TIMESTAMP NOT NULL
);
CREATE INDEX reset_requests_requested ON reset_requests (requested_at, id);

-- The requests of the last hour of a name or a network (`domain::reset`); `recent` is a JSON list of microseconds.
CREATE TABLE reset_counters (
    id TEXT NOT NULL CONSTRAINT reset_counters_pkey PRIMARY KEY,
    recent TEXT NOT NULL,
    refused INTEGER NOT NULL,
    last_at TIMESTAMP NOT NULL
);
CREATE INDEX reset_counters_last ON reset_counters (last_at);
