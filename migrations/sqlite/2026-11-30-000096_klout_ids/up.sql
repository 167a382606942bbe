-- The numbers by which clients of Klout's API know the people who have a score from `klout`, each with the handle, sealed.
CREATE TABLE klout_ids (
    merchant_id TEXT NOT NULL,
    id INTEGER NOT NULL,
    subject_ref BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, subject_ref)
) STRICT, WITHOUT ROWID;
