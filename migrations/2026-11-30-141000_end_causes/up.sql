-- Why a session ended, as JSON: setting, scope, limit, instants and policy revision as they were then. Absent in sessions that
-- ended before this was recorded.
ALTER TABLE sessions ADD COLUMN end_cause TEXT;
-- Ended sessions of one reason, latest end first.
CREATE INDEX sessions_ended_reason ON sessions (end_reason, ended_at, id) WHERE ended_at IS NOT NULL;
