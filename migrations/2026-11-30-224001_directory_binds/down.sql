DROP TABLE directory_binds;
