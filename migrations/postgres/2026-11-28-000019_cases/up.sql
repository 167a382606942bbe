-- A refusal that was contested while a case about the same person and perk was open belongs to that case.
CREATE TABLE contest_additions (
  check_id TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  case_id TEXT NOT NULL,
  asked_at BIGINT NOT NULL,
  added_at BIGINT NOT NULL,
  added_by TEXT NOT NULL
);
CREATE INDEX contest_additions_by_case ON contest_additions (merchant_id, case_id);
-- No unique one: earlier builds opened several about one person and perk.
CREATE INDEX referrals_by_person ON referrals (merchant_id, subject, perk_id);
