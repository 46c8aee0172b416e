DROP INDEX accounts_factor_required;
ALTER TABLE accounts DROP COLUMN recovery_codes;
ALTER TABLE accounts DROP COLUMN passkeys;
ALTER TABLE accounts DROP COLUMN authenticator_app;
ALTER TABLE accounts DROP COLUMN factor_required_at;
