DROP TABLE disavowals;
DROP TABLE known_devices;
DROP TABLE notices;
