-- One-time codes that carry a session over to the host of an application beyond the cookie domain. `nonce` is the digest of what the
-- browser holds there; of the two networks the one of the other family is not known.
CREATE TABLE handovers (
    digest TEXT NOT NULL CONSTRAINT handovers_pkey PRIMARY KEY,
    session_id TEXT NOT NULL,
    host TEXT NOT NULL,
    nonce TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    network_v4 TEXT,
    network_v6 TEXT,
    return_to TEXT NOT NULL,
    issued_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    redeemed_at TIMESTAMP,
    CONSTRAINT handovers_session_id FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE INDEX handovers_session ON handovers (session_id, issued_at);
CREATE INDEX handovers_expires ON handovers (expires_at);
