ALTER TABLE rule_versions DROP COLUMN saved_by;
ALTER TABLE rule_versions DROP COLUMN saved_at;
