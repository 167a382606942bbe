ALTER TABLE merchants DROP COLUMN is_test;
