CREATE TABLE four_eyes (
  merchant_id TEXT NOT NULL PRIMARY KEY REFERENCES merchants (id),
  required BOOLEAN NOT NULL,
  changed_by TEXT,
  changed_at BIGINT NOT NULL,
  lift_by TEXT,
  lift_at BIGINT
);
