-- Security events of identity providers (RFC 8936): the sealed access token with which a source's events are polled, and what the last poll
-- found. A source has a row once it has a token or was polled. The state is not announced.
CREATE TABLE event_streams (
    source_id TEXT NOT NULL CONSTRAINT event_streams_pkey PRIMARY KEY,
    token TEXT,
    key_id TEXT,
    polled_at TIMESTAMP,
    received BIGINT NOT NULL DEFAULT 0,
    fault_at TIMESTAMP,
    fault TEXT
);
