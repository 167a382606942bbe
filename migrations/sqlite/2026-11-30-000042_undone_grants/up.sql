-- When what an undone grant used of limits is to be free, where that waits for its token to expire; null again once it is.
ALTER TABLE grants ADD COLUMN frees_at INTEGER;
CREATE INDEX grants_to_free ON grants (frees_at) WHERE frees_at IS NOT NULL;
