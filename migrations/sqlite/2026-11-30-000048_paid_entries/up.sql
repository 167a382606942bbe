-- Refusals that were overridden for pay: what was paid, and the merchant's own name for the payment, which is used once.
ALTER TABLE overrides ADD COLUMN reference TEXT;
ALTER TABLE overrides ADD COLUMN amount TEXT;
ALTER TABLE overrides ADD COLUMN currency TEXT;
CREATE UNIQUE INDEX overrides_by_reference ON overrides (merchant_id, reference);
