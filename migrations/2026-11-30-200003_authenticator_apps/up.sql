-- Authenticator apps (RFC 6238). The secret is sealed with the key that `key_id` names. An app counts once a code has confirmed it;
-- `last_step` is the newest step whose code was accepted, and only grows.
CREATE TABLE authenticator_apps (
    id TEXT NOT NULL CONSTRAINT authenticator_apps_pkey PRIMARY KEY,
    account_id TEXT NOT NULL,
    sealed_secret TEXT NOT NULL,
    key_id TEXT NOT NULL,
    last_step BIGINT NOT NULL,
    made_at TIMESTAMP NOT NULL,
    confirmed_at TIMESTAMP,
    CONSTRAINT authenticator_apps_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX authenticator_apps_confirmed ON authenticator_apps (account_id) WHERE confirmed_at IS NOT NULL;
CREATE INDEX authenticator_apps_account ON authenticator_apps (account_id);
CREATE INDEX authenticator_apps_made ON authenticator_apps (made_at) WHERE confirmed_at IS NULL;
