-- When a door that had been offline reported it, and how the grant had ended by then; null where the gateway was asked at
-- once. `redeemed_at` is then the instant that the door gave.
ALTER TABLE redemptions ADD COLUMN heard_at BIGINT;
ALTER TABLE redemptions ADD COLUMN meanwhile TEXT;
