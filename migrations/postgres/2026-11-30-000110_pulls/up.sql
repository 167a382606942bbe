-- Sources that are fetched: how, and how far. `spec` is their declaration in JSON. `spent` requests were sent on the UTC day
-- `spent_day`, by all replicas together. Until `waits_until` nothing is sent, for the reason in `wait`.
CREATE TABLE pulls (
    merchant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    spec TEXT NOT NULL,
    spent_day BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    waits_until BIGINT NOT NULL,
    wait TEXT,
    run_at BIGINT,
    answered_at BIGINT,
    fault TEXT,
    PRIMARY KEY (merchant_id, source)
);

-- The accounts that a source was asked about: when it is asked again, and what it answered. `etag` is its own name for that
-- answer; since `missing_since` it says that there is no such account.
CREATE TABLE pulled_accounts (
    merchant_id TEXT NOT NULL,
    subject_ref BYTEA NOT NULL,
    account_hash BYTEA NOT NULL,
    source TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    answered_at BIGINT,
    etag TEXT,
    missing_since BIGINT,
    fault TEXT,
    PRIMARY KEY (merchant_id, subject_ref, account_hash, source)
);

-- When an account was found to be the person's, where nobody vouches for it.
ALTER TABLE linked_accounts ADD COLUMN proven_at BIGINT;
