-- Who saved a version last, and when: of a draft, others look at what stands in it now. Nobody knows of earlier ones.
ALTER TABLE rule_versions ADD COLUMN saved_by TEXT;
ALTER TABLE rule_versions ADD COLUMN saved_at INTEGER;
