-- The people at a desk: each acts under a key of their own that has no secret, and signs in with a PIN.
CREATE TABLE clerks (
  key_id TEXT NOT NULL PRIMARY KEY REFERENCES api_keys (id),
  merchant_id TEXT NOT NULL REFERENCES merchants (id),
  salt BYTEA NOT NULL,
  pin_hash BYTEA NOT NULL
);
CREATE INDEX clerks_by_merchant ON clerks (merchant_id, key_id);

-- Wrong PINs, by the clerk and by the key of the desk at which they were tried: of a clerk at one desk, whose id
-- `counted` is, or of a period.
CREATE TABLE pin_guesses (
  key_id TEXT NOT NULL REFERENCES api_keys (id),
  counted TEXT NOT NULL,
  merchant_id TEXT NOT NULL REFERENCES merchants (id),
  failures BIGINT NOT NULL,
  since BIGINT NOT NULL,
  locked_until BIGINT NOT NULL,
  PRIMARY KEY (key_id, counted)
);
