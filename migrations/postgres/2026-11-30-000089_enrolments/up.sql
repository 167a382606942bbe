-- The people who are scored, by a reference that names nobody; what each agreed to, and when. `pseudonym` is that of their
-- row in `subjects`, whose secret what is kept of them hangs on.
CREATE TABLE enrolments (
    merchant_id TEXT NOT NULL,
    subject_ref BYTEA NOT NULL,
    pseudonym TEXT NOT NULL,
    enrolled_at BIGINT NOT NULL,
    leaderboard_at BIGINT,
    comparison_at BIGINT,
    PRIMARY KEY (merchant_id, subject_ref)
);

-- Their accounts on networks: `account_hash` is a keyed hash under the person's secret, `sealed` is sealed under it.
CREATE TABLE linked_accounts (
    merchant_id TEXT NOT NULL,
    subject_ref BYTEA NOT NULL,
    account_hash BYTEA NOT NULL,
    network TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    proof TEXT NOT NULL CHECK (proof IN ('vouched', 'profile_code', 'rel_me')),
    linked_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, subject_ref, account_hash)
);
