-- Challenges of passkey ceremonies under way. The key is the digest of the challenge; an answer deletes its row before it is verified.
-- `subject` is the digest of the pending sign-in or the id of the session that the challenge was made for.
CREATE TABLE passkey_challenges (
    digest TEXT NOT NULL CONSTRAINT passkey_challenges_pkey PRIMARY KEY,
    purpose TEXT NOT NULL,
    account_id TEXT,
    subject TEXT,
    network TEXT NOT NULL,
    state TEXT NOT NULL,
    made_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    CONSTRAINT passkey_challenges_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX passkey_challenges_account ON passkey_challenges (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX passkey_challenges_network ON passkey_challenges (network, expires_at);
CREATE INDEX passkey_challenges_expires ON passkey_challenges (expires_at);
