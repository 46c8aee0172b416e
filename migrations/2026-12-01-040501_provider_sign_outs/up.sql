-- Sessions that a provider has ended lately: a sign-in that was being exchanged meanwhile must not open one of them. A row names a person,
-- a session of the provider, or both. Within a source, `received_at` grows.
CREATE TABLE provider_sign_outs (
    digest TEXT NOT NULL CONSTRAINT provider_sign_outs_pkey PRIMARY KEY,
    source_id TEXT NOT NULL,
    external_id TEXT,
    provider_session TEXT,
    received_at TIMESTAMP NOT NULL
);
CREATE INDEX provider_sign_outs_source ON provider_sign_outs (source_id, received_at);
CREATE INDEX provider_sign_outs_received ON provider_sign_outs (received_at);
