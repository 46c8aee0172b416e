-- Browsers that are not asked for a second factor again for some time. Only the digest of the cookie's token is kept; it counts for the
-- account and the password that it was made for.
CREATE TABLE trusted_browsers (
    id TEXT NOT NULL CONSTRAINT trusted_browsers_pkey PRIMARY KEY,
    digest TEXT NOT NULL CONSTRAINT trusted_browsers_digest UNIQUE,
    account_id TEXT NOT NULL,
    password_changed_at TIMESTAMP NOT NULL,
    label TEXT NOT NULL,
    made_at TIMESTAMP NOT NULL,
    last_used_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    CONSTRAINT trusted_browsers_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX trusted_browsers_account ON trusted_browsers (account_id, made_at);
CREATE INDEX trusted_browsers_expires ON trusted_browsers (expires_at);
