-- A new e-mail address counts once both addresses have confirmed it, the one of today where there is one. What the new address alone
-- confirmed counts already: nothing is left to decide about it.
DELETE FROM email_changes WHERE confirmed_at IS NOT NULL;
ALTER TABLE email_changes RENAME COLUMN confirm_digest TO new_digest;
ALTER TABLE email_changes RENAME COLUMN cancel_digest TO old_digest;
ALTER TABLE email_changes RENAME COLUMN confirmed_at TO new_confirmed_at;
ALTER TABLE email_changes ADD COLUMN old_confirmed_at TIMESTAMP;
