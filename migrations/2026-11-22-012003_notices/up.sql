-- Letters about one's account: which kinds its owner wants none of, and what the latest of a kind was about.
CREATE TABLE notices (
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    off BOOLEAN NOT NULL,
    about TIMESTAMP,
    CONSTRAINT notices_pkey PRIMARY KEY (account_id, kind),
    CONSTRAINT notices_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
-- Browsers that an account has signed in with, by what they are called.
CREATE TABLE known_devices (
    account_id TEXT NOT NULL,
    device TEXT NOT NULL,
    seen_at TIMESTAMP NOT NULL,
    CONSTRAINT known_devices_pkey PRIMARY KEY (account_id, device),
    CONSTRAINT known_devices_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
-- Links by which somebody says that a sign-in was not theirs.
CREATE TABLE disavowals (
    digest TEXT NOT NULL CONSTRAINT disavowals_pkey PRIMARY KEY,
    account_id TEXT NOT NULL,
    made_at TIMESTAMP NOT NULL,
    device TEXT NOT NULL,
    ip TEXT NOT NULL,
    CONSTRAINT disavowals_account_id FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
