-- Links with which the owner of an account may enrol a first second factor. Only digests are kept; the newest of an account voids those
-- before it, and the enrolment uses it up.
CREATE TABLE enrolment_links (
    digest TEXT NOT NULL CONSTRAINT enrolment_links_pkey PRIMARY KEY,
    account_id TEXT NOT NULL CONSTRAINT enrolment_links_account UNIQUE,
    email TEXT,
    made_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    CONSTRAINT enrolment_links_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX enrolment_links_expires ON enrolment_links (expires_at);
