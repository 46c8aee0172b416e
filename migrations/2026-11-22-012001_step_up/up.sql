-- When the password behind a session was last proved; absent: at the sign-in.
ALTER TABLE sessions ADD COLUMN proved_at TIMESTAMP;
