-- The people who are scored, by a reference that names nobody; what each agreed to, and when. `pseudonym` is that of their
-- row in `subjects`, whose secret what is kept of them hangs on.
CREATE TABLE enrolments (
    merchant_id TEXT NOT NULL,
    subject_ref BLOB NOT NULL,
    pseudonym TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL,
    leaderboard_at INTEGER,
    comparison_at INTEGER,
    PRIMARY KEY (merchant_id, subject_ref)
) STRICT, WITHOUT ROWID;

-- Their accounts on networks: `account_hash` is a keyed hash under the person's secret, `sealed` is sealed under it.
CREATE TABLE linked_accounts (
    merchant_id TEXT NOT NULL,
    subject_ref BLOB NOT NULL,
    account_hash BLOB NOT NULL,
    network TEXT NOT NULL,
    sealed BLOB NOT NULL,
    proof TEXT NOT NULL CHECK (proof IN ('vouched', 'profile_code', 'rel_me')),
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, subject_ref, account_hash)
) STRICT, WITHOUT ROWID;
