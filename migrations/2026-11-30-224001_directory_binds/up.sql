-- Passwords that were tried at directories, one row for each person: `instants` is a JSON array of microseconds since 1970. The row is
-- deleted when a password was right.
CREATE TABLE directory_binds (
    subject TEXT NOT NULL CONSTRAINT directory_binds_pkey PRIMARY KEY,
    instants TEXT NOT NULL,
    last_at TIMESTAMP NOT NULL
);
CREATE INDEX directory_binds_last_at ON directory_binds (last_at);
