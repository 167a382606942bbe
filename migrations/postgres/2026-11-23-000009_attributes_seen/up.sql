-- How often a source's scores are renewed, when it said so.
ALTER TABLE sources ADD COLUMN refresh_seconds BIGINT;

-- The names of context attributes that a merchant's checks have sent, never their values. The empty
-- name says that a check was made at all.
CREATE TABLE attributes_seen (
  merchant_id TEXT NOT NULL,
  name TEXT NOT NULL,
  first_seen_at BIGINT NOT NULL,
  PRIMARY KEY (merchant_id, name)
);
