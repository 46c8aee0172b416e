DROP INDEX sessions_live;
DROP INDEX sessions_live_flagged;
CREATE INDEX sessions_live ON sessions (user_agent_mismatches, ended_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_flagged
    ON sessions (last_active_at, id, ended_at, network_changes, user_agent_mismatches)
    WHERE ended_at IS NULL AND (network_changes > 0 OR user_agent_mismatches > 0);
