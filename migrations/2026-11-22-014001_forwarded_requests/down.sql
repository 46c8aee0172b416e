DROP TABLE forwarded_requests;
