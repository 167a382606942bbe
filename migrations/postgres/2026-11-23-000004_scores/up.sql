CREATE TABLE sources (
  merchant_id TEXT NOT NULL REFERENCES merchants (id),
  name TEXT NOT NULL,
  minimum BIGINT NOT NULL,
  maximum BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (merchant_id, name)
);

CREATE TABLE scores (
  merchant_id TEXT NOT NULL,
  source TEXT NOT NULL,
  subject_ref BYTEA NOT NULL,
  value BIGINT NOT NULL,
  observed_at BIGINT NOT NULL,
  recorded_at BIGINT NOT NULL,
  PRIMARY KEY (merchant_id, source, subject_ref)
);
