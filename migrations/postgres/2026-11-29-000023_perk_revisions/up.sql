-- The epoch of the catalog at a perk's last change that checks can see: a replica reads what is newer than what it knows.
ALTER TABLE perks ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;

CREATE INDEX perks_by_revision ON perks (revision);
