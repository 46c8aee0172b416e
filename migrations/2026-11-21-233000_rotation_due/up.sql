-- A proxy's question cannot hand the browser a new id: the rotation is due at the next response that reaches it.
ALTER TABLE session_tokens ADD COLUMN rotation_due BOOLEAN NOT NULL DEFAULT FALSE;
