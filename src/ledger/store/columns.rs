//! The writes of every batch, each as one prepared statement (PostgreSQL).

use diesel::query_builder::Query;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text};

use super::batches::MovedHead;
use super::{CounterRow, EventRow, GrantRow, IdempotencyRow, SubjectRow, SubtreeRow};
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

// From the list to the rows: on a table that was never analysed, it could be the other way round.
statement_of_columns! {
    FindCounters, |row: CounterRow|
    "SELECT held.merchant_id, held.perk_id, held.limit_id, held.scope_key, held.window_key, held.used, \
     held.last_used_at, held.horizon FROM unnest(" [
        merchants: Text = row.merchant_id.as_str(),
        perks: Text = row.perk_id.as_str(),
        limits: Text = row.limit_id.as_str(),
        scopes: Text = row.scope_key.as_str(),
        windows: Text = row.window_key.as_str(),
    ] ") AS wanted (merchant_id, perk_id, limit_id, scope_key, window_key) CROSS JOIN LATERAL (\
       SELECT * FROM limit_counters AS one WHERE one.merchant_id = wanted.merchant_id AND one.perk_id = wanted.perk_id \
       AND one.limit_id = wanted.limit_id AND one.scope_key = wanted.scope_key AND one.window_key = wanted.window_key \
       OFFSET 0) AS held"
}

impl Query for FindCounters<'_> {
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

// All that a batch leaves behind, in the order in which everybody locks: the idempotency keys, people and counters that it
// takes with it, then the heads, then the rest. It holds only if every head is still the one that the events were placed
// behind. Otherwise nothing is added but a checkpoint whose note is missing, which is refused: nothing of it stands.
//
// `was_version` is the row's version (`xmin`), which every update of it moves on: a statement that was sent and is still
// under way can be overtaken that way, whatever the log's size (`Writer::took`). It is no proof that the head is the
// same, as a standby that took over counts on from a little earlier: that is what size, root, and the newest checkpoint
// are for. None where the head is locked already.
statement_of_columns! {
    RecordBatch,
    |row in claims: IdempotencyRow|
    "WITH claimed AS (INSERT INTO idempotency (merchant_id, key_id, operation, idempotency_key, request_hash, outcome, \
     created_at, expires_at) SELECT * FROM unnest(" [
        claimed_merchants: Text = row.merchant_id.as_str(),
        claimed_by: Text = row.key_id.as_str(),
        operations: Text = row.operation.as_str(),
        idempotency_keys: Text = row.idempotency_key.as_str(),
        request_hashes: Binary = row.request_hash.as_slice(),
        outcomes: Binary = row.outcome.as_slice(),
        claimed: BigInt = row.created_at,
        claims_expire: BigInt = row.expires_at,
    ]
    |row in people: SubjectRow|
    ") RETURNING 1), \
     made AS (INSERT INTO subjects (merchant_id, subject_ref, pseudonym, sealed, created_at) SELECT * FROM unnest(" [
        people_merchants: Text = row.merchant_id.as_str(),
        subject_refs: Binary = row.subject_ref.as_slice(),
        pseudonyms: Text = row.pseudonym.as_str(),
        sealed: Binary = row.sealed.as_slice(),
        made: BigInt = row.created_at,
    ]
    |row in counters: CounterRow|
    ") RETURNING 1), \
     counted AS (INSERT INTO limit_counters (merchant_id, perk_id, limit_id, scope_key, window_key, used, last_used_at, \
     horizon) SELECT * FROM unnest(" [
        counted_merchants: Text = row.merchant_id.as_str(),
        counted_perks: Text = row.perk_id.as_str(),
        limits: Text = row.limit_id.as_str(),
        scopes: Text = row.scope_key.as_str(),
        windows: Text = row.window_key.as_str(),
        used: BigInt = row.used,
        last_used: BigInt = row.last_used_at,
        horizons: BigInt = row.horizon,
    ]
    |row in heads: MovedHead|
    ") ON CONFLICT (merchant_id, perk_id, limit_id, scope_key, window_key) DO UPDATE \
       SET used = excluded.used, last_used_at = excluded.last_used_at, horizon = excluded.horizon RETURNING 1), \
     head AS MATERIALIZED (SELECT * FROM unnest(" [
        log_ids: Text = row.log.id.as_str(),
        was_sizes: BigInt = row.was_size,
        was_roots: Binary = row.was_root.as_slice(),
        sizes: BigInt = row.log.size,
        frontiers: Binary = row.log.frontier.as_slice(),
        roots: Binary = row.log.root.as_slice(),
        notes: Text = row.log.checkpoint.as_str(),
        signed: BigInt = row.signed_at,
        was_versions: Nullable<Text> = row.expected.as_ref().map(|it| it.version.as_str()),
        migrations: Nullable<BigInt> = row.expected.as_ref().map(|it| it.schema.0),
        newest_migrations: Nullable<Text> = row.expected.as_ref().map(|it| it.schema.1),
        newest_logs: Nullable<Text> = row.expected.as_ref().map(|it| it.newest.0.as_str()),
        newest_sizes: Nullable<BigInt> = row.expected.as_ref().map(|it| it.newest.1),
        newest_notes: Nullable<Text> = row.expected.as_ref().map(|it| it.newest.2.as_str()),
    ]
    |row in grants: GrantRow|
    ") AS head (id, was_size, was_root, size, frontier, root, note, signed_at, was_version, migrations, \
       newest_migration, newest_log, newest_size, newest_note)), \
     held AS MATERIALIZED (SELECT logs.id FROM logs JOIN head ON logs.id = head.id \
       WHERE (SELECT count(*) FROM claimed) + (SELECT count(*) FROM made) + (SELECT count(*) FROM counted) >= 0 \
       AND logs.size = head.was_size \
       AND logs.root = head.was_root AND (head.was_version IS NULL OR (logs.xmin::text = head.was_version \
       AND (head.migrations, head.newest_migration) = (SELECT count(*), max(version) FROM __diesel_schema_migrations) \
       AND EXISTS (SELECT FROM checkpoints WHERE checkpoints.log_id = head.newest_log \
       AND checkpoints.size = head.newest_size AND checkpoints.note = head.newest_note))) \
       ORDER BY logs.id FOR NO KEY UPDATE OF logs), \
     held_all AS MATERIALIZED (SELECT (SELECT count(*) FROM held) = (SELECT count(*) FROM head) AS are_held), \
     kept AS (INSERT INTO checkpoints (log_id, size, note, signed_at) \
       SELECT id, size, CASE WHEN are_held THEN note END, signed_at FROM head, held_all), \
     granted AS (INSERT INTO grants (id, merchant_id, perk_id, check_id, kid, claims, audience, single_use, \
       granted_at, expires_at, guests) SELECT row.* FROM held_all, unnest(" [
        grant_ids: Text = row.id.as_str(),
        grant_merchants: Text = row.merchant_id.as_str(),
        perks: Text = row.perk_id.as_str(),
        checks: Text = row.check_id.as_str(),
        kids: Text = row.kid.as_str(),
        claim_texts: Text = row.claims.as_str(),
        audiences: Text = row.audience.as_str(),
        single_use: Bool = row.single_use,
        granted: BigInt = row.granted_at,
        expire: BigInt = row.expires_at,
        guests: Nullable<Text> = row.guests.as_deref(),
    ]
    |row in events: EventRow|
    ") AS row WHERE are_held), \
     recorded AS (INSERT INTO events (log_id, log_index, id, kind, about, at, leaf_hash, body) \
       SELECT row.* FROM held_all, unnest(" [
        event_logs: Text = row.log_id.as_str(),
        indexes: BigInt = row.log_index,
        event_ids: Text = row.id.as_str(),
        kinds: Text = row.kind.as_str(),
        abouts: Text = row.about.as_str(),
        instants: BigInt = row.at,
        leaf_hashes: Binary = row.leaf_hash.as_slice(),
        bodies: Nullable<Text> = row.body.as_deref(),
    ]
    |row in subtrees: SubtreeRow|
    ") AS row WHERE are_held), \
     whole AS (INSERT INTO subtrees (log_id, level, nth, hash) SELECT row.* FROM held_all, unnest(" [
        subtree_logs: Text = row.log_id.as_str(),
        levels: Integer = row.level,
        places: BigInt = row.nth,
        hashes: Binary = row.hash.as_slice(),
    ]
    ") AS row WHERE are_held ON CONFLICT (log_id, level, nth) DO UPDATE SET hash = excluded.hash) \
     UPDATE logs SET size = head.size, frontier = head.frontier, root = head.root, checkpoint = head.note \
       FROM head, held_all WHERE logs.id = head.id AND held_all.are_held RETURNING logs.id, logs.xmin::text"
}

impl Query for RecordBatch<'_> {
    type SqlType = (Text, Text);
}

statement_of_columns! {
    FindSubjects, |row: (&'a str, &'a [u8])|
    "SELECT found.merchant_id, found.subject_ref, found.pseudonym, found.sealed, found.created_at FROM unnest(" [
        merchants: Text = row.0,
        subject_refs: Binary = row.1,
    ] ") AS wanted (merchant_id, subject_ref) CROSS JOIN LATERAL (SELECT * FROM subjects \
       WHERE subjects.merchant_id = wanted.merchant_id AND subjects.subject_ref = wanted.subject_ref \
       OFFSET 0) AS found"
}

impl Query for FindSubjects<'_> {
    type SqlType = (Text, Binary, Text, Binary, BigInt);
}
