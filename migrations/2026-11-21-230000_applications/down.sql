DROP TABLE application_places;
DROP TABLE applications;
