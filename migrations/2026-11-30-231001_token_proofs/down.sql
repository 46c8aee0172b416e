ALTER TABLE session_tokens DROP COLUMN proofs;
