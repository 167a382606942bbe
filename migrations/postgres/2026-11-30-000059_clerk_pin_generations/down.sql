ALTER TABLE clerks DROP COLUMN pin_generation;
