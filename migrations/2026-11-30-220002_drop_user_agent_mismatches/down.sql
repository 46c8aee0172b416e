ALTER TABLE sessions ADD COLUMN user_agent_mismatches INTEGER NOT NULL DEFAULT 0;
