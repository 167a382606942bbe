ALTER TABLE grants DROP COLUMN corrected;
ALTER TABLE grants DROP COLUMN guests;
