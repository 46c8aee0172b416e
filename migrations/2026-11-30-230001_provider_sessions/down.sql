ALTER TABLE pending_sign_ins DROP COLUMN provider;
DROP TABLE spent_provider_values;
DROP TABLE provider_sessions;
