CREATE TABLE four_eyes (
  merchant_id TEXT NOT NULL PRIMARY KEY REFERENCES merchants (id),
  required INTEGER NOT NULL,
  changed_by TEXT,
  changed_at INTEGER NOT NULL,
  lift_by TEXT,
  lift_at INTEGER
) STRICT;
