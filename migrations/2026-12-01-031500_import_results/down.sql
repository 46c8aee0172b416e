DROP TABLE import_results;
