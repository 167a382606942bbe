DROP TABLE limit_uses;
ALTER TABLE grants DROP COLUMN voided_at;
ALTER TABLE grants DROP COLUMN released_at;
ALTER TABLE limit_counters DROP COLUMN horizon;
