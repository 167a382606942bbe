-- The web origins that a key may be used from, separated by spaces; null when it names none.
ALTER TABLE api_keys ADD COLUMN origins TEXT;
