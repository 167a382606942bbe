-- Moves on with every write of a score in its stripe, or (-1) with a write of many: what a process read before stands for
-- as long as it finds the same epochs. Half of each page is left for the rows' next versions.
CREATE TABLE score_epochs (
  stripe INTEGER PRIMARY KEY,
  epoch BIGINT NOT NULL
) WITH (fillfactor = 50);

INSERT INTO score_epochs SELECT stripe, 0 FROM generate_series(-1, 1023) AS stripes (stripe);

-- Whoever writes a score by an earlier build has committed it by now, or finds this schema before it does.
LOCK TABLE scores IN SHARE ROW EXCLUSIVE MODE;
