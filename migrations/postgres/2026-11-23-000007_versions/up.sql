ALTER TABLE perks ADD COLUMN purpose TEXT NOT NULL DEFAULT 'other';
ALTER TABLE perks ADD COLUMN status_by TEXT;
ALTER TABLE perks ADD COLUMN status_at BIGINT;
ALTER TABLE perks ADD COLUMN status_note TEXT;

ALTER TABLE rule_versions ADD COLUMN editors TEXT NOT NULL DEFAULT '';
ALTER TABLE rule_versions ADD COLUMN submitted_by TEXT;
ALTER TABLE rule_versions ADD COLUMN submitted_at BIGINT;
ALTER TABLE rule_versions ADD COLUMN approved_by TEXT;
ALTER TABLE rule_versions ADD COLUMN approved_at BIGINT;
ALTER TABLE rule_versions ADD COLUMN scheduled_by TEXT;
ALTER TABLE rule_versions ADD COLUMN scheduled_at BIGINT;
ALTER TABLE rule_versions ADD COLUMN published_by TEXT;
ALTER TABLE rule_versions ADD COLUMN step_note TEXT;
CREATE UNIQUE INDEX rule_versions_one_scheduled ON rule_versions (perk_id) WHERE status = 'scheduled';
