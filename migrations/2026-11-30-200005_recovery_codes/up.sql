-- Recovery codes that are not used up, as keyed digests. Using one deletes it.
CREATE TABLE recovery_codes (
    digest TEXT NOT NULL CONSTRAINT recovery_codes_pkey PRIMARY KEY,
    account_id TEXT NOT NULL,
    made_at TIMESTAMP NOT NULL,
    CONSTRAINT recovery_codes_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX recovery_codes_account ON recovery_codes (account_id);
