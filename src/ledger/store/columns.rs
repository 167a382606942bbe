//! The writes of every batch, each as one prepared statement (PostgreSQL).

use diesel::query_builder::Query;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::{CounterRow, EventRow, GrantRow, IdempotencyRow, LogRow};
use crate::statement_of_columns;

statement_of_columns! {
    ClaimIdempotency, |row: IdempotencyRow|
    "INSERT INTO idempotency AS held (merchant_id, key_id, operation, idempotency_key, request_hash, outcome, \
     created_at, expires_at) SELECT * FROM unnest(" [
        merchants: Text = row.merchant_id.as_str(),
        keys: Text = row.key_id.as_str(),
        operations: Text = row.operation.as_str(),
        idempotency_keys: Text = row.idempotency_key.as_str(),
        request_hashes: Binary = row.request_hash.as_slice(),
        outcomes: Binary = row.outcome.as_slice(),
        created: BigInt = row.created_at,
        expire: BigInt = row.expires_at,
    ] ") ON CONFLICT (merchant_id, key_id, operation, idempotency_key) DO UPDATE \
       SET request_hash = excluded.request_hash, outcome = excluded.outcome, \
       created_at = excluded.created_at, expires_at = excluded.expires_at \
       WHERE held.expires_at <= excluded.created_at"
}

statement_of_columns! {
    ListIdempotency, |row: IdempotencyRow|
    "SELECT held.merchant_id, held.key_id, held.operation, held.idempotency_key, held.request_hash, held.outcome, \
     held.created_at, held.expires_at FROM idempotency AS held NATURAL JOIN unnest(" [
        merchants: Text = row.merchant_id.as_str(),
        keys: Text = row.key_id.as_str(),
        operations: Text = row.operation.as_str(),
        idempotency_keys: Text = row.idempotency_key.as_str(),
    ] ") AS asked (merchant_id, key_id, operation, idempotency_key)"
}

impl Query for ListIdempotency<'_> {
    type SqlType = (Text, Text, Text, Text, Binary, Binary, BigInt, BigInt);
}

statement_of_columns! {
    LockCounters, |row: CounterRow|
    "INSERT INTO limit_counters AS held (merchant_id, perk_id, limit_id, scope_key, window_key, used, last_used_at, \
     horizon) SELECT * FROM unnest(" [
        merchants: Text = row.merchant_id.as_str(),
        perks: Text = row.perk_id.as_str(),
        limits: Text = row.limit_id.as_str(),
        scopes: Text = row.scope_key.as_str(),
        windows: Text = row.window_key.as_str(),
        used: BigInt = row.used,
        last_used: BigInt = row.last_used_at,
        horizons: BigInt = row.horizon,
    ] ") ON CONFLICT (merchant_id, perk_id, limit_id, scope_key, window_key) DO UPDATE \
       SET last_used_at = held.last_used_at \
       RETURNING merchant_id, perk_id, limit_id, scope_key, window_key, used, last_used_at, horizon"
}

impl Query for LockCounters<'_> {
    type SqlType = (Text, Text, Text, Text, Text, BigInt, BigInt, BigInt);
}

statement_of_columns! {
    UpdateCounters, |row: CounterRow|
    "UPDATE limit_counters AS held SET used = new.used, last_used_at = new.last_used_at, horizon = new.horizon \
     FROM unnest(" [
        merchants: Text = row.merchant_id.as_str(),
        perks: Text = row.perk_id.as_str(),
        limits: Text = row.limit_id.as_str(),
        scopes: Text = row.scope_key.as_str(),
        windows: Text = row.window_key.as_str(),
        used: BigInt = row.used,
        last_used: BigInt = row.last_used_at,
        horizons: BigInt = row.horizon,
    ] ") AS new (merchant_id, perk_id, limit_id, scope_key, window_key, used, last_used_at, horizon) \
       WHERE held.merchant_id = new.merchant_id AND held.perk_id = new.perk_id AND held.limit_id = new.limit_id \
       AND held.scope_key = new.scope_key AND held.window_key = new.window_key"
}

statement_of_columns! {
    InsertGrants, |row: GrantRow|
    "INSERT INTO grants (id, merchant_id, perk_id, check_id, kid, claims, audience, single_use, granted_at, \
     expires_at) SELECT * FROM unnest(" [
        ids: Text = row.id.as_str(),
        merchants: Text = row.merchant_id.as_str(),
        perks: Text = row.perk_id.as_str(),
        checks: Text = row.check_id.as_str(),
        kids: Text = row.kid.as_str(),
        claims: Text = row.claims.as_str(),
        audiences: Text = row.audience.as_str(),
        single_use: Bool = row.single_use,
        granted: BigInt = row.granted_at,
        expire: BigInt = row.expires_at,
    ] ")"
}

statement_of_columns! {
    InsertEvents, |row: EventRow|
    "INSERT INTO events (log_id, log_index, id, kind, about, at, leaf_hash, body) SELECT * FROM unnest(" [
        logs: Text = row.log_id.as_str(),
        indexes: BigInt = row.log_index,
        ids: Text = row.id.as_str(),
        kinds: Text = row.kind.as_str(),
        abouts: Text = row.about.as_str(),
        instants: BigInt = row.at,
        leaf_hashes: Binary = row.leaf_hash.as_slice(),
        bodies: Nullable<Text> = row.body.as_deref(),
    ] ")"
}

statement_of_columns! {
    AdvanceLogs, |head: (&'a LogRow, i64)|
    "WITH head AS (SELECT * FROM unnest(" [
        ids: Text = head.0.id.as_str(),
        sizes: BigInt = head.0.size,
        frontiers: Binary = head.0.frontier.as_slice(),
        roots: Binary = head.0.root.as_slice(),
        notes: Text = head.0.checkpoint.as_str(),
        signed: BigInt = head.1,
    ] ") AS head (id, size, frontier, root, note, signed_at)), \
       moved AS (UPDATE logs SET size = head.size, frontier = head.frontier, root = head.root, \
       checkpoint = head.note FROM head WHERE logs.id = head.id) \
       INSERT INTO checkpoints (log_id, size, note, signed_at) SELECT id, size, note, signed_at FROM head"
}
