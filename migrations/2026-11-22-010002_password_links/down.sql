DROP TABLE reset_counters;
DROP TABLE reset_requests;
DROP TABLE password_links;
