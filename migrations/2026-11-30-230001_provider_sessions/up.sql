-- Sessions that began with a sign-in at an OpenID Connect provider: what is needed to end them with the provider's session, and to sign out
-- there. The ID token is sealed.
CREATE TABLE provider_sessions (
    session_id TEXT NOT NULL CONSTRAINT provider_sessions_pkey PRIMARY KEY,
    source_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    provider_session TEXT,
    authenticated_at TIMESTAMP,
    token_expires_at TIMESTAMP NOT NULL,
    id_token TEXT NOT NULL,
    key_id TEXT NOT NULL,
    CONSTRAINT provider_sessions_session_id FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE INDEX provider_sessions_external ON provider_sessions (source_id, external_id);
CREATE INDEX provider_sessions_provider ON provider_sessions (source_id, provider_session);
-- Values of providers that count once: states of sign-ins, and IDs of logout tokens and security events. Only digests are kept.
CREATE TABLE spent_provider_values (
    digest TEXT NOT NULL CONSTRAINT spent_provider_values_pkey PRIMARY KEY,
    expires_at TIMESTAMP NOT NULL
);
CREATE INDEX spent_provider_values_expires ON spent_provider_values (expires_at);
-- What is kept of the provider's session while the second factor is asked for.
ALTER TABLE pending_sign_ins ADD COLUMN provider TEXT;
