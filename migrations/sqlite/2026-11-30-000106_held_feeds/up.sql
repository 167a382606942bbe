-- How far people's scores from a source may move at once before a person looks: the share of people in thousandths, by more
-- than so many thousandths of a point. Sources without a row have the default.
CREATE TABLE source_guards (
    merchant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    share INTEGER NOT NULL,
    points INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, source)
) STRICT, WITHOUT ROWID;
-- Feeds whose rows wait in `held_scores`, and runs of computed sources that wait: for the rest of the feed (`coming`), for a
-- person (`held`), or for their turn (`moving`).
CREATE TABLE held_feeds (
    merchant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('feed', 'run')),
    state TEXT NOT NULL CHECK (state IN ('coming', 'held', 'moving', 'released', 'dropped', 'expired')),
    touched_at INTEGER NOT NULL,
    held_at INTEGER,
    digest BLOB,
    share INTEGER NOT NULL,
    points INTEGER NOT NULL,
    compared INTEGER NOT NULL,
    up INTEGER NOT NULL,
    down INTEGER NOT NULL,
    largest INTEGER NOT NULL,
    common_value INTEGER,
    common_people INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE held_scores (
    merchant_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    subject_ref BLOB NOT NULL,
    value INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, feed, subject_ref)
) STRICT, WITHOUT ROWID;
