DROP INDEX accounts_source;
DROP INDEX accounts_external_id;
ALTER TABLE accounts DROP COLUMN external_id;
ALTER TABLE accounts DROP COLUMN source_id;
DROP TABLE sources;
