ALTER TABLE accounts DROP COLUMN code_failures;
