CREATE TABLE sources (
  merchant_id TEXT NOT NULL REFERENCES merchants (id),
  name TEXT NOT NULL,
  minimum INTEGER NOT NULL,
  maximum INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (merchant_id, name)
) STRICT;

CREATE TABLE scores (
  merchant_id TEXT NOT NULL,
  source TEXT NOT NULL,
  subject_ref BLOB NOT NULL,
  value INTEGER NOT NULL,
  observed_at INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  PRIMARY KEY (merchant_id, source, subject_ref)
) STRICT, WITHOUT ROWID;
