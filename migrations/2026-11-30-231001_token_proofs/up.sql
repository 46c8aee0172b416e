-- What a session had proved when a further proof replaced this token; NULL: the token has all proofs of its session.
-- A replaced token stays valid for a moment, and must not have a proof that was given after it.
ALTER TABLE session_tokens ADD COLUMN proofs TEXT;
