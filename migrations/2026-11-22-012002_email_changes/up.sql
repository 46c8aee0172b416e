-- A new e-mail address that its owner asked for, one an account: it counts once the new address has confirmed it, and the old
-- one can take it back.
CREATE TABLE email_changes (
    account_id TEXT NOT NULL CONSTRAINT email_changes_pkey PRIMARY KEY,
    old_email TEXT,
    new_email TEXT NOT NULL,
    confirm_digest TEXT NOT NULL CONSTRAINT email_changes_confirm_digest UNIQUE,
    cancel_digest TEXT NOT NULL CONSTRAINT email_changes_cancel_digest UNIQUE,
    requested_at TIMESTAMP NOT NULL,
    confirmed_at TIMESTAMP,
    CONSTRAINT email_changes_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
