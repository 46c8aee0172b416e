-- How far the audit was shipped to each target of the configuration (`[audit_targets.NAME]`): all entries through a seal, and some of the next
-- one. `lease` is the number of the attempt that may move it; an instance holds the target until `leased_until`.
CREATE TABLE audit_targets (
    name TEXT NOT NULL CONSTRAINT audit_targets_pkey PRIMARY KEY,
    seal BIGINT NOT NULL,
    entry_id TEXT,
    position BIGINT NOT NULL DEFAULT 0,
    shipped BIGINT NOT NULL DEFAULT 0,
    missed_seals BIGINT NOT NULL DEFAULT 0,
    shipped_at TIMESTAMP,
    failures BIGINT NOT NULL DEFAULT 0,
    fault_at TIMESTAMP,
    fault TEXT,
    retry_at TIMESTAMP,
    lease BIGINT NOT NULL DEFAULT 0,
    leased_until TIMESTAMP
);
