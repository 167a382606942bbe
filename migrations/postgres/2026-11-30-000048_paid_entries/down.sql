DROP INDEX overrides_by_reference;
ALTER TABLE overrides DROP COLUMN currency;
ALTER TABLE overrides DROP COLUMN amount;
ALTER TABLE overrides DROP COLUMN reference;
