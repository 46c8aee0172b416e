-- Nothing counts mismatched user agents any more: a mismatch ends the session. Sessions are flagged by changes of their network
-- alone, so the indexes leave `user_agent_mismatches` out. `drop_user_agent_mismatches` drops the column.
DROP INDEX sessions_live;
DROP INDEX sessions_live_flagged;
CREATE INDEX sessions_live ON sessions (network_changes, ended_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_flagged ON sessions (last_active_at, id, ended_at, network_changes)
    WHERE ended_at IS NULL AND network_changes > 0;
