CREATE INDEX known_devices_seen_at ON known_devices (seen_at);
