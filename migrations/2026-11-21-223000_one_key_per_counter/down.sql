-- The second halves of the digests are gone: what counts or is locked now would never be met again, so that all start at zero.
DROP TABLE lockouts;
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
