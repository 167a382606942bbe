-- Reports add up quarters of an hour that were summed up, in the place of every event again.
CREATE TABLE report_heads (
  merchant_id TEXT NOT NULL PRIMARY KEY,
  -- The events before this index are summed up.
  log_index BIGINT NOT NULL,
  -- Of two that would change the sums, the one that read an earlier revision starts again.
  revision BIGINT NOT NULL
);

CREATE TABLE report_quarters (
  merchant_id TEXT NOT NULL,
  report TEXT NOT NULL,
  -- Number of quarters of an hour since 1970, UTC.
  quarter BIGINT NOT NULL,
  sums BYTEA NOT NULL,
  PRIMARY KEY (merchant_id, report, quarter)
);

-- Whose events were summed up, so that an erasure finds them.
CREATE TABLE report_people (
  merchant_id TEXT NOT NULL,
  subject TEXT NOT NULL,
  log_index BIGINT NOT NULL,
  PRIMARY KEY (merchant_id, subject, log_index)
);
