-- The wrong codes of an account's authenticator in a row: no time ends this count, only a right code or a reset.
ALTER TABLE accounts ADD COLUMN code_failures BIGINT NOT NULL DEFAULT 0;
