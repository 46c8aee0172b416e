-- When a second factor was first required of an account, and how many factors it has. The numbers are counted anew by every write
-- that adds or removes a factor, so that a judgement needs no other table.
ALTER TABLE accounts ADD COLUMN factor_required_at TIMESTAMP;
ALTER TABLE accounts ADD COLUMN authenticator_app BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE accounts ADD COLUMN passkeys INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN recovery_codes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX accounts_factor_required ON accounts (role, id) WHERE factor_required_at IS NULL;
