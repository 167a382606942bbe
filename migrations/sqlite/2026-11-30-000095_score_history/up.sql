-- The scores that stood at the end of a UTC day before they were replaced or ended, each from its first such day to its last. The
-- one that stands is in `scores`: it moves here when another is written on a later day.
CREATE TABLE score_history (
    merchant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    subject_ref BLOB NOT NULL,
    first_day INTEGER NOT NULL,
    last_day INTEGER NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, source, subject_ref, first_day)
) STRICT, WITHOUT ROWID;
CREATE INDEX score_history_by_last_day ON score_history (last_day);
