-- Sources that are fetched: how, and how far. `spec` is their declaration in JSON. `spent` requests were sent on the UTC day
-- `spent_day`, by all replicas together. Until `waits_until` nothing is sent, for the reason in `wait`.
CREATE TABLE pulls (
    merchant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    spec TEXT NOT NULL,
    spent_day INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    waits_until INTEGER NOT NULL,
    wait TEXT,
    run_at INTEGER,
    answered_at INTEGER,
    fault TEXT,
    PRIMARY KEY (merchant_id, source)
) STRICT, WITHOUT ROWID;

-- The accounts that a source was asked about: when it is asked again, and what it answered. `etag` is its own name for that
-- answer; since `missing_since` it says that there is no such account.
CREATE TABLE pulled_accounts (
    merchant_id TEXT NOT NULL,
    subject_ref BLOB NOT NULL,
    account_hash BLOB NOT NULL,
    source TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    answered_at INTEGER,
    etag TEXT,
    missing_since INTEGER,
    fault TEXT,
    PRIMARY KEY (merchant_id, subject_ref, account_hash, source)
) STRICT, WITHOUT ROWID;

-- When an account was found to be the person's, where nobody vouches for it.
ALTER TABLE linked_accounts ADD COLUMN proven_at INTEGER;
