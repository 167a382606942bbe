-- The airports at which a key is used, by their IATA codes with spaces between; null when it names none.
ALTER TABLE api_keys ADD COLUMN airports TEXT;
