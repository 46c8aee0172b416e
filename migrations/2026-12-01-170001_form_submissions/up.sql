-- Forms that were sent, and their results, by the account and the form's key: whoever sends one
-- twice, also to two servers, gets one result. Secrets of a result are sealed. There is no foreign
-- key, because a claim would lock the row of the account, against the order of locks.
-- The results of imports move here; a later migration drops their table.
CREATE TABLE form_submissions (
    account_id TEXT NOT NULL,
    submission TEXT NOT NULL,
    route TEXT NOT NULL,
    begun_at TIMESTAMP NOT NULL,
    outcome TEXT,
    sealed_secrets TEXT,
    key_id TEXT,
    fetched_at TIMESTAMP,
    CONSTRAINT form_submissions_pkey PRIMARY KEY (account_id, submission)
);
CREATE INDEX form_submissions_begun ON form_submissions (begun_at);
INSERT INTO form_submissions (account_id, submission, route, begun_at, outcome, sealed_secrets, key_id, fetched_at)
    SELECT account_id, submission, '/admin/accounts/import/apply', begun_at, summary, sealed_passwords, key_id, fetched_at
    FROM import_results;
DELETE FROM import_results;
