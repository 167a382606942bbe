-- Models by which a source computed before, each until when it counts too, where it makes a score the better one.
CREATE TABLE model_graces (
    merchant_id TEXT NOT NULL,
    source TEXT NOT NULL,
    model TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, source, model)
) STRICT, WITHOUT ROWID;
INSERT INTO model_graces (merchant_id, source, model, until)
    SELECT merchant_id, name, grace_model, grace_until FROM sources WHERE grace_model IS NOT NULL AND grace_until IS NOT NULL;
ALTER TABLE sources DROP COLUMN grace_until;
ALTER TABLE sources DROP COLUMN grace_model;
