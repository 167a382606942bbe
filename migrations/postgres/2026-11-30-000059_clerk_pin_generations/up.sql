-- How often a clerk's PIN was set: a session holds the number, and ends with the PIN that began it.
ALTER TABLE clerks ADD COLUMN pin_generation INTEGER NOT NULL DEFAULT 0;
