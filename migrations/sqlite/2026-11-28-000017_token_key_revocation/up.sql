-- A key that was withdrawn: from then on it signs nothing and is published nowhere.
ALTER TABLE keyring_keys ADD COLUMN revoked_at INTEGER;
-- Moves with every change of the keys, and with every new log, so that each replica hears of it.
INSERT INTO epochs (name, value) VALUES ('keys', 1);
