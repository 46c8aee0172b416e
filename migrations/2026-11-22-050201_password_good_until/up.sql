-- Last instant at which a password works that its owner did not choose; absent: no limit. Long past where nobody knows the password,
-- as with the invitations that are open.
ALTER TABLE accounts ADD COLUMN password_good_until TIMESTAMP;
UPDATE accounts SET password_good_until = '1970-01-01 00:00:00.000000' WHERE EXISTS (
    SELECT 1 FROM password_links
    WHERE password_links.account_id = accounts.id AND password_links.kind = 'invitation'
        AND password_links.password_changed_at = accounts.password_changed_at
);
