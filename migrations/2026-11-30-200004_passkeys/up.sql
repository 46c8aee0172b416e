-- Passkeys (WebAuthn credentials). `credential` is JSON: public key, counter, backup flags. `domain` is the relying party that it was
-- made for, outside of which it works nowhere.
CREATE TABLE passkeys (
    id TEXT NOT NULL CONSTRAINT passkeys_pkey PRIMARY KEY,
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    credential_id TEXT NOT NULL CONSTRAINT passkeys_credential_id UNIQUE,
    credential TEXT NOT NULL,
    domain TEXT NOT NULL,
    added_at TIMESTAMP NOT NULL,
    last_used_at TIMESTAMP,
    synced BOOLEAN NOT NULL,
    CONSTRAINT passkeys_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX passkeys_account ON passkeys (account_id, added_at);
