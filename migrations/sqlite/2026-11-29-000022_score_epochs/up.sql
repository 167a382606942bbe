-- Moves on with every write of a score in its stripe, or (-1) with a write of many: what a process read before stands for
-- as long as it finds the same epochs.
CREATE TABLE score_epochs (
  stripe INTEGER NOT NULL PRIMARY KEY,
  epoch INTEGER NOT NULL
) STRICT;

INSERT INTO score_epochs
WITH RECURSIVE stripes (stripe) AS (VALUES (-1) UNION ALL SELECT stripe + 1 FROM stripes WHERE stripe < 1023)
SELECT stripe, 0 FROM stripes;
