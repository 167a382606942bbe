, linked AS MATERIALIZED (
  SELECT l.subject_ref, l.network, MIN(l.linked_at) AS linked_at FROM who
  JOIN linked_accounts AS l ON l.merchant_id = $1 AND l.subject_ref = who.subject_ref
  WHERE l.proof = 'vouched' OR l.proven_at IS NOT NULL GROUP BY l.subject_ref, l.network
), kept AS MATERIALIZED (
  SELECT s.subject_ref, s.network, s.signal, s.kind, s.day, s.seen_at, s.actor, s.object, s.value,
    CASE WHEN {today} - s.day < 7 THEN 4 WHEN {today} - s.day < 30 THEN 3 WHEN {today} - s.day < 60 THEN 2 ELSE 1 END AS q
  FROM who JOIN signals AS s ON s.merchant_id = $1 AND s.subject_ref = who.subject_ref
  WHERE s.kind < 3 AND {today} - s.day < 90
    AND (s.subject_ref, s.network) IN (SELECT subject_ref, network FROM linked)
), acts AS MATERIALIZED (
  SELECT subject_ref, network, signal, actor, day, object, q, SUM(CASE WHEN value > 3 THEN 3 ELSE value END) AS n
  FROM kept WHERE kind = 0 GROUP BY subject_ref, network, signal, actor, day, object, q
), daily AS (
  SELECT subject_ref, network, signal, actor, q * (CASE WHEN SUM(n) > 3 THEN 3 ELSE SUM(n) END) AS weight
  FROM acts GROUP BY subject_ref, network, signal, actor, day, q
), people AS (
  SELECT subject_ref, network, signal, CAST(SUM(weight) AS BIGINT) AS quarters
  FROM daily GROUP BY subject_ref, network, signal, actor
), latest AS MATERIALIZED (
  SELECT subject_ref, network, signal, kind, day, value, q, ROW_NUMBER() OVER (
    PARTITION BY subject_ref, network, signal, kind, object ORDER BY seen_at DESC, day DESC, value DESC) AS nth
  FROM kept WHERE kind > 0
), noticed AS (
  SELECT subject_ref, network, signal, CAST(2 * SUM(q * (CASE WHEN n > 3 THEN 3 ELSE n END)) AS BIGINT) AS eighths
  FROM acts WHERE object IS NOT NULL GROUP BY subject_ref, network, signal, object
  UNION ALL
  SELECT subject_ref, network, signal, q * value FROM latest WHERE kind = 1 AND nth = 1
), ranked AS (
  SELECT subject_ref, network, signal, eighths, ROW_NUMBER() OVER (
    PARTITION BY subject_ref, network, signal ORDER BY eighths DESC) AS nth
  FROM noticed WHERE eighths > 0
), days AS (
  SELECT subject_ref, day FROM acts UNION SELECT subject_ref, day FROM latest WHERE kind = 1 AND nth = 1 AND value > 0
), engagers AS (
  SELECT DISTINCT subject_ref, network, actor FROM acts
), heard AS (
  SELECT subject_ref, network, linked_at AS at FROM linked
  UNION ALL
  SELECT linked.subject_ref, linked.network, h.heard_at FROM linked
  JOIN heard_networks AS h ON h.merchant_id = $1 AND h.network = linked.network
  UNION ALL
  SELECT subject_ref, network, seen_at FROM kept
)
SELECT subject_ref, network, signal, 0 AS part, quarters AS of, COUNT(*) AS a, 0 AS b
FROM people WHERE quarters > 0 GROUP BY subject_ref, network, signal, quarters
UNION ALL
SELECT subject_ref, network, signal, 1, q, CAST(SUM(value / 1000000000) AS BIGINT), CAST(SUM(value % 1000000000) AS BIGINT)
FROM latest WHERE kind = 1 AND nth = 1 AND value > 0 GROUP BY subject_ref, network, signal, q
UNION ALL
SELECT subject_ref, network, signal, 2, nth, eighths, 0 FROM ranked WHERE nth <= 20
UNION ALL
SELECT subject_ref, network, signal, 3, 0, value, 0 FROM latest WHERE kind = 2 AND nth = 1
UNION ALL
SELECT subject_ref, '', '', 4, 0, COUNT(*), 0 FROM days GROUP BY subject_ref
UNION ALL
SELECT subject_ref, '', '', 5, 0, COUNT(*), 0 FROM engagers GROUP BY subject_ref
UNION ALL
SELECT subject_ref, network, '', 6, 0, MAX(at), 0 FROM heard GROUP BY subject_ref, network
UNION ALL
SELECT subject_ref, '', '', 7, 0, MIN(CASE WHEN {today} - day < 7 THEN day + 7 WHEN {today} - day < 30 THEN day + 30
  WHEN {today} - day < 60 THEN day + 60 ELSE day + 90 END), 0
FROM kept GROUP BY subject_ref
