-- The data of a merchant is a test's: the console says so on each of its pages.
ALTER TABLE merchants ADD COLUMN is_test INTEGER NOT NULL DEFAULT 0;
