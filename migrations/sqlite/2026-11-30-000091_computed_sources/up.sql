-- How scores of a source come about; `model` is the hash of the model by which a computed one computes.
ALTER TABLE sources ADD COLUMN kind TEXT NOT NULL DEFAULT 'push' CHECK (kind IN ('push', 'pull', 'computed'));
ALTER TABLE sources ADD COLUMN model TEXT;

-- Models of a merchant, by the hash of their canonical form, which is `body`.
CREATE TABLE models (
    merchant_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (merchant_id, hash)
) STRICT, WITHOUT ROWID;

-- Who is to be computed by when: the first UTC day, counted from 1970, on which the score may be another. `turn` moves on
-- with every new signal.
CREATE TABLE score_due (
    merchant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    subject_ref BLOB NOT NULL,
    day INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, source, subject_ref)
) STRICT, WITHOUT ROWID;
CREATE INDEX score_due_by_day ON score_due (day);

-- One does a thing at a time, by the database's clock: who was held up finds that the fencing number has moved on.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    fence INTEGER NOT NULL,
    held_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
