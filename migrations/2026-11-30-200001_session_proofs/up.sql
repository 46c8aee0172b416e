-- What a session has proved: codes of `domain::factor`, separated by blanks. Sessions from before this were opened by a password.
ALTER TABLE sessions ADD COLUMN proofs TEXT NOT NULL DEFAULT 'password';
