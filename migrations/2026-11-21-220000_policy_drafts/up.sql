-- What an administrator is about to save, between the editor (or an import, a restore, a posture item) and the review.
-- `changes` are edits of revision `base`; `about` says what kind of save it is.
CREATE TABLE policy_drafts (
    id TEXT NOT NULL CONSTRAINT policy_drafts_pkey PRIMARY KEY,
    account_id TEXT NOT NULL,
    drafted_at TIMESTAMP NOT NULL,
    base BIGINT NOT NULL,
    about TEXT NOT NULL,
    reason TEXT NOT NULL,
    changes TEXT NOT NULL,
    notes TEXT NOT NULL,
    CONSTRAINT policy_drafts_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX policy_drafts_account ON policy_drafts (account_id, drafted_at);
CREATE INDEX policy_drafts_drafted ON policy_drafts (drafted_at);
