-- When a merchant's feeds were last heard of a network, about whomever; it moves on once a UTC day.
CREATE TABLE heard_networks (
    merchant_id TEXT NOT NULL,
    network TEXT NOT NULL,
    heard_at INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, network)
) STRICT, WITHOUT ROWID;
