DROP TABLE audit_targets;
