DROP TABLE leases;
DROP TABLE score_due;
DROP TABLE models;
ALTER TABLE sources DROP COLUMN model;
ALTER TABLE sources DROP COLUMN kind;
