DROP INDEX known_devices_seen_at;
