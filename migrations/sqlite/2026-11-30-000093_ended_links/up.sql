-- Networks on which a person has no proven account any more, while signals of it are left: they count for nothing, and are
-- deleted in pieces.
CREATE TABLE ended_links (
    merchant_id TEXT NOT NULL,
    subject_ref BLOB NOT NULL,
    network TEXT NOT NULL,
    PRIMARY KEY (merchant_id, subject_ref, network)
) STRICT, WITHOUT ROWID;
