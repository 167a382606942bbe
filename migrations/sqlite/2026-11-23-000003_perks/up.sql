CREATE TABLE perks (
  id TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL REFERENCES merchants (id),
  slug TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  latest_version INTEGER NOT NULL,
  published_version INTEGER,
  created_at INTEGER NOT NULL,
  UNIQUE (merchant_id, slug)
) STRICT;

CREATE TABLE rule_versions (
  merchant_id TEXT NOT NULL REFERENCES merchants (id),
  perk_id TEXT NOT NULL REFERENCES perks (id),
  version INTEGER NOT NULL,
  status TEXT NOT NULL,
  rule TEXT NOT NULL,
  rule_hash TEXT NOT NULL,
  change_note TEXT,
  author TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  published_at INTEGER,
  PRIMARY KEY (perk_id, version)
) STRICT;
