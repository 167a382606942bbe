-- The second factor of an account: the salt from which, with the gateway's own key, the secret of its authenticator is
-- made, and the last step of time whose code was taken, as each is taken once.
ALTER TABLE accounts ADD COLUMN code_salt BYTEA;
ALTER TABLE accounts ADD COLUMN code_step BIGINT;

-- Codes that each stand in for the authenticator once, by a keyed hash.
CREATE TABLE account_recovery_codes (
  code_hash BYTEA NOT NULL PRIMARY KEY,
  key_id TEXT NOT NULL REFERENCES api_keys (id)
);
CREATE INDEX account_recovery_codes_by_key ON account_recovery_codes (key_id);
