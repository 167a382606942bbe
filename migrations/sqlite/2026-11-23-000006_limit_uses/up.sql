-- Up to which position the uses of a rolling or concurrent counter have been taken off its sum.
ALTER TABLE limit_counters ADD COLUMN horizon INTEGER NOT NULL DEFAULT 0;

ALTER TABLE grants ADD COLUMN released_at INTEGER;
ALTER TABLE grants ADD COLUMN voided_at INTEGER;

CREATE TABLE limit_uses (
  merchant_id TEXT NOT NULL,
  perk_id TEXT NOT NULL,
  limit_id TEXT NOT NULL,
  scope_key TEXT NOT NULL,
  window_key TEXT NOT NULL,
  counts_at INTEGER NOT NULL,
  grant_id TEXT NOT NULL,
  cost INTEGER NOT NULL,
  stay INTEGER NOT NULL,
  PRIMARY KEY (merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, grant_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX limit_uses_by_grant ON limit_uses (grant_id);
