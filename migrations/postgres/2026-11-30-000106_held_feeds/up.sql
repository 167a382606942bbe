-- How far people's scores from a source may move at once before a person looks: the share of people in thousandths, by more
-- than so many thousandths of a point. Sources without a row have the default.
CREATE TABLE source_guards (
    merchant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    share BIGINT NOT NULL,
    points BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, source)
);
-- Feeds whose rows wait in `held_scores`, and runs of computed sources that wait: for the rest of the feed (`coming`), for a
-- person (`held`), or for their turn (`moving`).
CREATE TABLE held_feeds (
    merchant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('feed', 'run')),
    state TEXT NOT NULL CHECK (state IN ('coming', 'held', 'moving', 'released', 'dropped', 'expired')),
    touched_at BIGINT NOT NULL,
    held_at BIGINT,
    digest BYTEA,
    share BIGINT NOT NULL,
    points BIGINT NOT NULL,
    compared BIGINT NOT NULL,
    up BIGINT NOT NULL,
    down BIGINT NOT NULL,
    largest BIGINT NOT NULL,
    common_value BIGINT,
    common_people BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
CREATE TABLE held_scores (
    merchant_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    subject_ref BYTEA NOT NULL,
    value BIGINT NOT NULL,
    observed_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, feed, subject_ref)
);
