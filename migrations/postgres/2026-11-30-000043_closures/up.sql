-- Places that are closed for a while: a perk (no location), or one of its locations.
CREATE TABLE closures (
  id TEXT NOT NULL UNIQUE,
  merchant_id TEXT NOT NULL,
  perk_id TEXT NOT NULL,
  location TEXT NOT NULL,
  until BIGINT NOT NULL,
  message TEXT,
  made_at BIGINT NOT NULL,
  made_by TEXT NOT NULL,
  PRIMARY KEY (perk_id, location)
);
