ALTER TABLE merchants DROP COLUMN time_zone;
