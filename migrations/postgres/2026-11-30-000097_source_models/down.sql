ALTER TABLE sources DROP COLUMN grace_until;
ALTER TABLE sources DROP COLUMN grace_model;
DROP TABLE source_models;
