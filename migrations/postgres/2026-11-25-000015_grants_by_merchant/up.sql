-- A merchant's grants, oldest first: for those that are looked for by what their tokens say.
CREATE INDEX grants_by_merchant ON grants (merchant_id, granted_at, id);
