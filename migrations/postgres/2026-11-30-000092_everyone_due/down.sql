ALTER TABLE sources DROP COLUMN due_after;
