-- What others did with enrolled people, seen on a day. `id`, `actor` and `object` are keyed hashes under the person's own
-- secret: nobody can join two people by them, and they go with the person. `kind`: 0 an act of others, 1 a running count
-- of an object, 2 a level of the account, 3 what the person did.
CREATE TABLE signals (
    merchant_id TEXT NOT NULL,
    subject_ref BYTEA NOT NULL,
    id BYTEA NOT NULL,
    network TEXT NOT NULL,
    signal TEXT NOT NULL,
    kind INTEGER NOT NULL,
    day BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    actor BYTEA,
    object BYTEA,
    value BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, subject_ref, id)
);

-- Those that are too old to count.
CREATE INDEX signals_by_day ON signals (day);
