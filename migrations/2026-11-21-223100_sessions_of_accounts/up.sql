-- Live sessions of some accounts, latest first, from the index alone: a list filtered by role or name reads the rows of its page only.
CREATE INDEX sessions_live_account ON sessions (account_id, last_active_at, id, ended_at) WHERE ended_at IS NULL;
