-- Declarations that were deleted and whose values are still to be: deleting those may take long, and be cut short.
CREATE TABLE attributes_to_clear (
    merchant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    declared_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, name, declared_at)
);

-- What was left behind by now.
INSERT INTO attributes_to_clear (merchant_id, name, declared_at)
SELECT DISTINCT merchant_id, attribute, declared_at FROM subject_attributes
WHERE NOT EXISTS (SELECT 1 FROM attributes WHERE attributes.merchant_id = subject_attributes.merchant_id
    AND attributes.name = subject_attributes.attribute AND attributes.created_at = subject_attributes.declared_at);
