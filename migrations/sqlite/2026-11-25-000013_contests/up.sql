-- A check that was contested waits for a person as a referred one does: who contested it, and when.
ALTER TABLE referrals ADD COLUMN contested_at INTEGER;
ALTER TABLE referrals ADD COLUMN contested_by TEXT;
