-- Letters between the act that caused them and the mail server. `body` is JSON ({"text","html"}) and goes when the letter is sent,
-- given up or discarded, for some carry a secret link; what is left says what was sent to whom. `attempts` also numbers the leases: only the latest
-- holder of a letter may say what became of it.
CREATE TABLE outbox (
    id TEXT NOT NULL CONSTRAINT outbox_pkey PRIMARY KEY,
    kind TEXT NOT NULL,
    account_id TEXT,
    recipient TEXT NOT NULL,
    recipient_name TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT,
    secret BOOLEAN NOT NULL,
    message_id TEXT NOT NULL,
    dedupe TEXT,
    state TEXT NOT NULL,
    queued_at TIMESTAMP NOT NULL,
    due_at TIMESTAMP NOT NULL,
    give_up_at TIMESTAMP NOT NULL,
    attempts INTEGER NOT NULL,
    leased_until TIMESTAMP,
    words TEXT NOT NULL,
    finished_at TIMESTAMP
);
CREATE UNIQUE INDEX outbox_dedupe ON outbox (dedupe) WHERE dedupe IS NOT NULL;
CREATE INDEX outbox_due ON outbox (due_at, id) WHERE state = 'queued';
CREATE INDEX outbox_state ON outbox (state, queued_at, id);
CREATE INDEX outbox_queued ON outbox (queued_at, id);
CREATE INDEX outbox_account ON outbox (account_id, queued_at) WHERE account_id IS NOT NULL;
