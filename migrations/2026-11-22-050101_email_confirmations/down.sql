-- One confirmation was all it took, and the old address could take the change back: what waits for both is asked for again.
DELETE FROM email_changes;
ALTER TABLE email_changes DROP COLUMN old_confirmed_at;
ALTER TABLE email_changes RENAME COLUMN new_confirmed_at TO confirmed_at;
ALTER TABLE email_changes RENAME COLUMN old_digest TO cancel_digest;
ALTER TABLE email_changes RENAME COLUMN new_digest TO confirm_digest;
