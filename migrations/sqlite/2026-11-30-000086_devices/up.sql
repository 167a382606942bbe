-- Screens in a browser: each acts under a key of its own that has no secret. It is known by the hash of what its browser
-- holds, once an admin has confirmed the two words that it shows.
CREATE TABLE devices (
  key_id TEXT NOT NULL PRIMARY KEY REFERENCES api_keys (id),
  merchant_id TEXT NOT NULL REFERENCES merchants (id),
  perk TEXT,
  -- The first half of the code, by which wrong ones are counted, and a keyed hash of all of it.
  code_half TEXT NOT NULL,
  code_hash BLOB NOT NULL,
  code_expires_at INTEGER NOT NULL,
  wrong_codes INTEGER NOT NULL,
  secret_hash BLOB UNIQUE,
  words TEXT,
  confirmed_at INTEGER,
  seen_at INTEGER,
  page TEXT
) STRICT;
CREATE INDEX devices_by_merchant ON devices (merchant_id, key_id);
CREATE INDEX devices_by_code ON devices (code_half);
