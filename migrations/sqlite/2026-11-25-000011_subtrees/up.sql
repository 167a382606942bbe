-- Roots of the whole subtrees of each log's tree: level 1 over 256 leaves, level 2 over 256 of those,
-- and so on; `nth` counts them from 0. They follow from the events' leaf hashes and only save reading
-- them: a row that is missing is computed again.
CREATE TABLE subtrees (
  log_id TEXT NOT NULL,
  level INTEGER NOT NULL,
  nth INTEGER NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (log_id, level, nth)
) STRICT, WITHOUT ROWID;
