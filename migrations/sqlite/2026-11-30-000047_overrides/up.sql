-- Refusals that a desk has overridden, each once: the check that was granted in the place of one that was refused.
CREATE TABLE overrides (
  check_id TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL REFERENCES merchants (id),
  perk_id TEXT NOT NULL,
  perk TEXT NOT NULL,
  rule_version INTEGER NOT NULL,
  granted_check TEXT NOT NULL UNIQUE,
  grant_id TEXT NOT NULL,
  tier TEXT NOT NULL,
  reason TEXT NOT NULL,
  overridden_by TEXT NOT NULL,
  overridden_at INTEGER NOT NULL
) STRICT;
CREATE INDEX overrides_by_merchant ON overrides (merchant_id, granted_check);
