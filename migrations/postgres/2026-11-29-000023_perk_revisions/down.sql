DROP INDEX perks_by_revision;

ALTER TABLE perks DROP COLUMN revision;
