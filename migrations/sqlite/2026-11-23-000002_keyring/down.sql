DROP TABLE keyring_keys;
