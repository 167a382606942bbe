-- What others did with enrolled people, seen on a day. `id`, `actor` and `object` are keyed hashes under the person's own
-- secret: nobody can join two people by them, and they go with the person. `kind`: 0 an act of others, 1 a running count
-- of an object, 2 a level of the account, 3 what the person did.
CREATE TABLE signals (
    merchant_id TEXT NOT NULL,
    subject_ref BLOB NOT NULL,
    id BLOB NOT NULL,
    network TEXT NOT NULL,
    signal TEXT NOT NULL,
    kind INTEGER NOT NULL,
    day INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    actor BLOB,
    object BLOB,
    value INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, subject_ref, id)
) STRICT, WITHOUT ROWID;

-- Those that are too old to count.
CREATE INDEX signals_by_day ON signals (day);
