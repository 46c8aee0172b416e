ALTER TABLE accounts DROP COLUMN password_good_until;
