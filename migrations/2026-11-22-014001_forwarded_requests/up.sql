-- What proxies asked of late: of each subject the last question. `kind` says what became of it (answered, or why not), and with it what
-- `subject` is: an application's name, a host, an address. `lacks` (JSON) are headers that were missing or could not be read.
CREATE TABLE forwarded_requests (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    asked_at TIMESTAMP NOT NULL,
    peer TEXT NOT NULL,
    dialect TEXT NOT NULL,
    lacks TEXT NOT NULL,
    CONSTRAINT forwarded_requests_pkey PRIMARY KEY (kind, subject)
);
