DELETE FROM epochs WHERE name = 'keys';
ALTER TABLE keyring_keys DROP COLUMN revoked_at;
