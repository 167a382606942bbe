-- Models that were handed in for a computed source, by hash: one that two people must look at waits for its approval.
CREATE TABLE source_models (
    merchant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    hash TEXT NOT NULL,
    submitted_by TEXT NOT NULL,
    submitted_at BIGINT NOT NULL,
    grace_days BIGINT NOT NULL,
    approved_by TEXT,
    published BOOLEAN NOT NULL,
    PRIMARY KEY (merchant_id, source, hash)
);
-- Until when the model before counts too, where it makes a score the better one.
ALTER TABLE sources ADD COLUMN grace_model TEXT;
ALTER TABLE sources ADD COLUMN grace_until BIGINT;
