-- Sources: where the identity of an account is proved. `settings` is a JSON object of texts; the secret is sealed with the key that `key_id`
-- names. `in_file`: the configuration file sets it. The state is what the last comparison with the source found; it is not announced.
CREATE TABLE sources (
    id TEXT NOT NULL CONSTRAINT sources_pkey PRIMARY KEY,
    name TEXT NOT NULL CONSTRAINT sources_name UNIQUE,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    settings TEXT NOT NULL,
    secret TEXT,
    key_id TEXT,
    position INTEGER NOT NULL,
    enabled BOOLEAN NOT NULL,
    in_file BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL,
    changed_at TIMESTAMP NOT NULL,
    synced_at TIMESTAMP,
    synced_accounts BIGINT NOT NULL DEFAULT 0,
    fault_at TIMESTAMP,
    fault TEXT
);
-- An account without a source is local. `external_id` is its identity at the source; it is missing until an account that an administrator
-- listed signs in for the first time. A deleted source leaves its accounts, disabled: their source then names nothing.
ALTER TABLE accounts ADD COLUMN source_id TEXT;
ALTER TABLE accounts ADD COLUMN external_id TEXT;
CREATE UNIQUE INDEX accounts_external_id ON accounts (source_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX accounts_source ON accounts (source_id, id) WHERE source_id IS NOT NULL;
