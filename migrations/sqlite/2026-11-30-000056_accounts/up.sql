-- The people who use the console: each acts under a key of their own that has no secret, and logs in with a password.
-- Names are unique in the gateway, as nothing names a merchant before someone has logged in.
CREATE TABLE accounts (
  key_id TEXT NOT NULL PRIMARY KEY REFERENCES api_keys (id),
  merchant_id TEXT REFERENCES merchants (id),
  name TEXT NOT NULL UNIQUE,
  password_hash TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX accounts_by_merchant ON accounts (merchant_id, name);

-- Those who are logged in, by the hash of what their browser holds.
CREATE TABLE account_sessions (
  token_hash BLOB NOT NULL PRIMARY KEY,
  key_id TEXT NOT NULL REFERENCES api_keys (id),
  began_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL
) STRICT;
CREATE INDEX account_sessions_by_key ON account_sessions (key_id);
CREATE INDEX account_sessions_by_beginning ON account_sessions (began_at);

-- Links that each open once, by the hash of what is in their address.
CREATE TABLE account_links (
  token_hash BLOB NOT NULL PRIMARY KEY,
  key_id TEXT NOT NULL REFERENCES api_keys (id),
  purpose TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX account_links_by_key ON account_links (key_id);

-- Wrong passwords since the beginning of a period, by a keyed hash of the name, the address, or both.
CREATE TABLE log_in_attempts (
  counted BLOB NOT NULL PRIMARY KEY,
  failures INTEGER NOT NULL,
  since INTEGER NOT NULL
) STRICT;
CREATE INDEX log_in_attempts_by_beginning ON log_in_attempts (since);
