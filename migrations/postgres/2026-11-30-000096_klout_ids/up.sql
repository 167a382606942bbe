-- The numbers by which clients of Klout's API know the people who have a score from `klout`, each with the handle, sealed.
CREATE TABLE klout_ids (
    merchant_id TEXT NOT NULL,
    id BIGINT NOT NULL,
    subject_ref BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (merchant_id, id),
    UNIQUE (merchant_id, subject_ref)
);
