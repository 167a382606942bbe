-- Behind whom, in the order of references, everyone who is enrolled is still to be made due for the source; null when all are.
ALTER TABLE sources ADD COLUMN due_after BYTEA;
