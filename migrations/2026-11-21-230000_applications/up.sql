-- Protected applications. Lists are JSON; a host and prefix belong to one application, which the key holds.
-- `prefix` is empty for the whole host.
CREATE TABLE applications (
    name TEXT NOT NULL CONSTRAINT applications_pkey PRIMARY KEY,
    name_sort TEXT NOT NULL,
    roles TEXT NOT NULL,
    member_of TEXT NOT NULL,
    public_paths TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    changed_at TIMESTAMP NOT NULL
);

CREATE TABLE application_places (
    host TEXT NOT NULL,
    prefix TEXT NOT NULL,
    application TEXT NOT NULL,
    CONSTRAINT application_places_pkey PRIMARY KEY (host, prefix),
    CONSTRAINT application_places_application FOREIGN KEY (application) REFERENCES applications (name) ON DELETE CASCADE
);
CREATE INDEX application_places_application ON application_places (application);
