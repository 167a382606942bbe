-- The instant since which nobody logs in to an account, until it is let in again. Its name and password are kept.
ALTER TABLE accounts ADD COLUMN suspended_at INTEGER;
