ALTER TABLE linked_accounts DROP COLUMN proven_at;
DROP TABLE pulled_accounts;
DROP TABLE pulls;
