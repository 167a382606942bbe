-- What a merchant's rules may look at of a person besides scores. `created_at` tells a declaration from an earlier one of
-- the same name: values belong to theirs.
CREATE TABLE attributes (
    merchant_id TEXT NOT NULL REFERENCES merchants (id),
    name TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('text', 'number', 'boolean', 'list')),
    purpose TEXT NOT NULL,
    max_age_seconds BIGINT,
    on_missing TEXT NOT NULL CHECK (on_missing IN ('deny', 'refer', 'ignore')),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, name)
);

-- The values, by a reference that names nobody. `value` is JSON; `declared_at` is its declaration's `created_at`.
CREATE TABLE subject_attributes (
    merchant_id TEXT NOT NULL,
    subject_ref BYTEA NOT NULL,
    attribute TEXT NOT NULL,
    value TEXT NOT NULL,
    valid_until BIGINT,
    recorded_at BIGINT NOT NULL,
    declared_at BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, subject_ref, attribute)
);

-- All values of one attribute: is there any, and which are deleted with it.
CREATE INDEX subject_attributes_by_name ON subject_attributes (merchant_id, attribute, subject_ref);
-- Those that are not good any more.
CREATE INDEX subject_attributes_by_end ON subject_attributes (valid_until) WHERE valid_until IS NOT NULL;

-- What is declared is known to every replica from memory.
INSERT INTO epochs (name, value) VALUES ('attributes', 1);
