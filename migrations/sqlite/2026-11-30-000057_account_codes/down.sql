DROP TABLE account_recovery_codes;
ALTER TABLE accounts DROP COLUMN code_step;
ALTER TABLE accounts DROP COLUMN code_salt;
