DROP TABLE authenticator_apps;
