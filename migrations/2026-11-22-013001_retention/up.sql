-- What is old enough to go is found by its age alone.
CREATE INDEX known_networks_seen ON known_networks (seen_at);
CREATE INDEX session_tokens_rotated ON session_tokens (rotated_at) WHERE rotated_at IS NOT NULL;
CREATE INDEX session_tokens_killed ON session_tokens (killed_at) WHERE killed_at IS NOT NULL;
