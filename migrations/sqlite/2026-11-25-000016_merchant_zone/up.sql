-- Whose days and hours the merchant's reports count by: a name of the IANA time zone database.
ALTER TABLE merchants ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';
