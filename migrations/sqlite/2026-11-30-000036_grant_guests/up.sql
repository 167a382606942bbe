-- The guests of a grant whose tier says something of guests, as canonical JSON, as the event of its check has them.
ALTER TABLE grants ADD COLUMN guests TEXT;
-- The party of a grant that was corrected, as canonical JSON, as the last event of a correction has it.
ALTER TABLE grants ADD COLUMN corrected TEXT;
