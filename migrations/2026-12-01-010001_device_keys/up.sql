-- Keys to which sessions are bound, one per session and host. `public_key` is a JWK; `proofs` counts the proofs so far, so that
-- each challenge is answered once.
CREATE TABLE device_keys (
    id TEXT NOT NULL CONSTRAINT device_keys_pkey PRIMARY KEY,
    session_id TEXT NOT NULL,
    host TEXT NOT NULL,
    public_key TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    registered_at TIMESTAMP NOT NULL,
    proved_at TIMESTAMP NOT NULL,
    proofs BIGINT NOT NULL,
    CONSTRAINT device_keys_session_host UNIQUE (session_id, host),
    CONSTRAINT device_keys_session_id FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
