-- Every page of the console says how much waits for a person.
CREATE INDEX rule_versions_by_status ON rule_versions (merchant_id, status, submitted_at, perk_id, version);
CREATE INDEX subject_requests_by_status ON subject_requests (merchant_id, status, id);
