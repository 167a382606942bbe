ALTER TABLE sources ADD COLUMN grace_model TEXT;
ALTER TABLE sources ADD COLUMN grace_until INTEGER;
-- A source has one grace only: of several the one that lasts longest.
UPDATE sources SET
    grace_until = (SELECT MAX(g.until) FROM model_graces AS g WHERE g.merchant_id = sources.merchant_id AND g.source = sources.name),
    grace_model = (SELECT g.model FROM model_graces AS g WHERE g.merchant_id = sources.merchant_id AND g.source = sources.name
        ORDER BY g.until DESC, g.model LIMIT 1);
DROP TABLE model_graces;
