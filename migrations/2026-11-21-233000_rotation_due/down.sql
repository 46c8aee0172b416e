ALTER TABLE session_tokens DROP COLUMN rotation_due;
