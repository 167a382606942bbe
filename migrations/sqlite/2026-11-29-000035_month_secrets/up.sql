-- The secrets under which limits count boarding passes and members of the context, one for each merchant and month,
-- wrapped under the master key. A row is deleted 41 days after its month, or 72 where nothing is
-- recorded any more: then nobody can tell what was counted.
CREATE TABLE month_secrets (
    merchant_id TEXT NOT NULL REFERENCES merchants (id),
    month TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, month)
);
