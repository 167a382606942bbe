CREATE TABLE referrals (
  check_id TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  perk_id TEXT NOT NULL,
  perk TEXT NOT NULL,
  rule_version INTEGER NOT NULL,
  subject TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  decided_at INTEGER,
  decided_by TEXT,
  resolved_by TEXT,
  grant_id TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX referrals_by_status ON referrals (merchant_id, status, check_id);
