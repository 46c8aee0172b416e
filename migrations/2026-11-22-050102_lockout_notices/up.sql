-- Lockouts that are still to be told to the owners of the names: a row for each name, whether or not there is such an account.
CREATE TABLE lockout_notices (
    id TEXT NOT NULL CONSTRAINT lockout_notices_pkey PRIMARY KEY,
    account_key TEXT NOT NULL,
    failures INTEGER NOT NULL,
    ip TEXT,
    by_address BOOLEAN NOT NULL,
    began_at TIMESTAMP NOT NULL
);
