DROP INDEX session_tokens_killed;
DROP INDEX session_tokens_rotated;
DROP INDEX known_networks_seen;
