-- The first line of a log's checkpoints, decided when the log is made. Logs that are there keep the one they have.
ALTER TABLE logs ADD COLUMN origin TEXT NOT NULL DEFAULT '';
UPDATE logs SET origin = 'perkgate/' || id;
