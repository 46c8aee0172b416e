-- Results of imports of accounts, by the form that asked for them: whoever sends it twice, also to two servers, gets one result.
-- One-time passwords are sealed, and deleted once they were fetched.
CREATE TABLE import_results (
    account_id TEXT NOT NULL,
    submission TEXT NOT NULL,
    begun_at TIMESTAMP NOT NULL,
    summary TEXT,
    sealed_passwords TEXT,
    key_id TEXT,
    fetched_at TIMESTAMP,
    CONSTRAINT import_results_pkey PRIMARY KEY (account_id, submission),
    CONSTRAINT import_results_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX import_results_begun ON import_results (begun_at);
