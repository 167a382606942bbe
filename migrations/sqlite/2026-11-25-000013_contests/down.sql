DELETE FROM referrals WHERE contested_at IS NOT NULL;
ALTER TABLE referrals DROP COLUMN contested_by;
ALTER TABLE referrals DROP COLUMN contested_at;
