CREATE TABLE subjects (
  merchant_id TEXT NOT NULL,
  subject_ref BLOB NOT NULL,
  pseudonym TEXT NOT NULL UNIQUE,
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (merchant_id, subject_ref)
) STRICT, WITHOUT ROWID;

CREATE TABLE limit_counters (
  merchant_id TEXT NOT NULL,
  perk_id TEXT NOT NULL,
  limit_id TEXT NOT NULL,
  scope_key TEXT NOT NULL,
  window_key TEXT NOT NULL,
  used INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL,
  PRIMARY KEY (merchant_id, perk_id, limit_id, scope_key, window_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
  id TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  perk_id TEXT NOT NULL,
  check_id TEXT NOT NULL,
  kid TEXT NOT NULL,
  claims TEXT NOT NULL,
  audience TEXT NOT NULL,
  single_use INTEGER NOT NULL,
  granted_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE redemptions (
  grant_id TEXT NOT NULL,
  slot TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  door TEXT NOT NULL,
  attempt TEXT NOT NULL,
  redeemed_at INTEGER NOT NULL,
  PRIMARY KEY (grant_id, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  merchant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  operation TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  request_hash BLOB NOT NULL,
  outcome BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (merchant_id, key_id, operation, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE TABLE logs (
  id TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT UNIQUE,
  name TEXT NOT NULL UNIQUE,
  size INTEGER NOT NULL,
  frontier BLOB NOT NULL,
  root BLOB NOT NULL,
  checkpoint TEXT NOT NULL
) STRICT;

CREATE TABLE events (
  log_id TEXT NOT NULL,
  log_index INTEGER NOT NULL,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  about TEXT NOT NULL,
  at INTEGER NOT NULL,
  leaf_hash BLOB NOT NULL,
  body TEXT,
  PRIMARY KEY (log_id, log_index)
) STRICT;
CREATE INDEX events_by_about ON events (about, kind);

CREATE TABLE checkpoints (
  log_id TEXT NOT NULL,
  size INTEGER NOT NULL,
  note TEXT NOT NULL,
  signed_at INTEGER NOT NULL,
  PRIMARY KEY (log_id, size)
) STRICT;
