-- When the key was last used, to the hour: written behind the requests, at most once an hour.
ALTER TABLE api_keys ADD COLUMN last_used_at BIGINT;
