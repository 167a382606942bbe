DROP TABLE attributes_seen;
ALTER TABLE sources DROP COLUMN refresh_seconds;
