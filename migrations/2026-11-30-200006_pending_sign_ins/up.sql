-- Sign-ins whose password was right and that wait for a second factor: no session is open. Settling one deletes it. A row is bound to
-- the password that was checked, and to the browser and the network that typed it.
CREATE TABLE pending_sign_ins (
    digest TEXT NOT NULL CONSTRAINT pending_sign_ins_pkey PRIMARY KEY,
    account_id TEXT NOT NULL,
    proofs TEXT NOT NULL,
    password_changed_at TIMESTAMP NOT NULL,
    user_agent TEXT NOT NULL,
    network TEXT NOT NULL,
    host TEXT NOT NULL,
    application TEXT,
    return_to TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    made_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    CONSTRAINT pending_sign_ins_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX pending_sign_ins_account ON pending_sign_ins (account_id);
CREATE INDEX pending_sign_ins_expires ON pending_sign_ins (expires_at);
