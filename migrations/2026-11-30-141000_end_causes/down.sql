DROP INDEX sessions_ended_reason;
ALTER TABLE sessions DROP COLUMN end_cause;
