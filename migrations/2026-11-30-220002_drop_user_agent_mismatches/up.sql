-- Always 0, and read by nothing since `sessions_flagged_by_network`.
ALTER TABLE sessions DROP COLUMN user_agent_mismatches;
