-- Runs of audit entries that are as they were written, each seal over the one before: `nightlatch audit verify` compares.
CREATE TABLE audit_seals (
    number BIGINT NOT NULL CONSTRAINT audit_seals_pkey PRIMARY KEY,
    sealed_at TIMESTAMP NOT NULL,
    first_id TEXT NOT NULL,
    last_id TEXT NOT NULL,
    entries BIGINT NOT NULL,
    previous TEXT NOT NULL,
    digest TEXT NOT NULL
);
