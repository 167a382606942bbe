CREATE TABLE subjects (
  merchant_id TEXT NOT NULL,
  subject_ref BYTEA NOT NULL,
  pseudonym TEXT NOT NULL UNIQUE,
  sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (merchant_id, subject_ref)
);

CREATE TABLE limit_counters (
  merchant_id TEXT NOT NULL,
  perk_id TEXT NOT NULL,
  limit_id TEXT NOT NULL,
  scope_key TEXT NOT NULL,
  window_key TEXT NOT NULL,
  used BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL,
  PRIMARY KEY (merchant_id, perk_id, limit_id, scope_key, window_key)
);

CREATE TABLE grants (
  id TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  perk_id TEXT NOT NULL,
  check_id TEXT NOT NULL,
  kid TEXT NOT NULL,
  claims TEXT NOT NULL,
  audience TEXT NOT NULL,
  single_use BOOLEAN NOT NULL,
  granted_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);

CREATE TABLE redemptions (
  grant_id TEXT NOT NULL,
  slot TEXT NOT NULL,
  merchant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  door TEXT NOT NULL,
  attempt TEXT NOT NULL,
  redeemed_at BIGINT NOT NULL,
  PRIMARY KEY (grant_id, slot)
);

CREATE TABLE idempotency (
  merchant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  operation TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  request_hash BYTEA NOT NULL,
  outcome BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (merchant_id, key_id, operation, idempotency_key)
);
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE TABLE logs (
  id TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT UNIQUE,
  name TEXT NOT NULL UNIQUE,
  size BIGINT NOT NULL,
  frontier BYTEA NOT NULL,
  root BYTEA NOT NULL,
  checkpoint TEXT NOT NULL
);

CREATE TABLE events (
  log_id TEXT NOT NULL,
  log_index BIGINT NOT NULL,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  about TEXT NOT NULL,
  at BIGINT NOT NULL,
  leaf_hash BYTEA NOT NULL,
  body TEXT,
  PRIMARY KEY (log_id, log_index)
);
CREATE INDEX events_by_about ON events (about, kind);

CREATE TABLE checkpoints (
  log_id TEXT NOT NULL,
  size BIGINT NOT NULL,
  note TEXT NOT NULL,
  signed_at BIGINT NOT NULL,
  PRIMARY KEY (log_id, size)
);
