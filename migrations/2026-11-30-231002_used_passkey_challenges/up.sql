-- Challenges are no longer stored when they are issued: they carry their own expiry and a code of this installation.
DROP TABLE passkey_challenges;
-- Passkey challenges that were answered. The key is the digest of the challenge, so that each is answered once.
CREATE TABLE used_passkey_challenges (
    digest TEXT NOT NULL CONSTRAINT used_passkey_challenges_pkey PRIMARY KEY,
    expires_at TIMESTAMP NOT NULL
);
CREATE INDEX used_passkey_challenges_expires ON used_passkey_challenges (expires_at);
