ALTER TABLE redemptions DROP COLUMN meanwhile;
ALTER TABLE redemptions DROP COLUMN heard_at;
