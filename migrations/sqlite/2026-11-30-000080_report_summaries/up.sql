-- Reports add up quarters of an hour that were summed up, in the place of every event again.
CREATE TABLE report_heads (
  merchant_id TEXT NOT NULL PRIMARY KEY,
  -- The events before this index are summed up.
  log_index INTEGER NOT NULL,
  -- Of two that would change the sums, the one that read an earlier revision starts again.
  revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE report_quarters (
  merchant_id TEXT NOT NULL,
  report TEXT NOT NULL,
  -- Number of quarters of an hour since 1970, UTC.
  quarter INTEGER NOT NULL,
  sums BLOB NOT NULL,
  PRIMARY KEY (merchant_id, report, quarter)
) STRICT;

-- Whose events were summed up, so that an erasure finds them.
CREATE TABLE report_people (
  merchant_id TEXT NOT NULL,
  subject TEXT NOT NULL,
  log_index INTEGER NOT NULL,
  PRIMARY KEY (merchant_id, subject, log_index)
) STRICT, WITHOUT ROWID;
