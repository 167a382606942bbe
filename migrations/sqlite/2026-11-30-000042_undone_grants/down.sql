DROP INDEX grants_to_free;
ALTER TABLE grants DROP COLUMN frees_at;
