//! All rows that a batch leaves behind, written together.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::{
    CounterRow, EventRow, GrantRow, IdempotencyRow, LogRow, Result, SubjectRow, SubtreeRow, columns, put_subtrees,
};
use crate::database::rows::in_powers_of_two;
use crate::database::schema::{checkpoints, logs};
use crate::database::{AnyConnection, DatabaseError};
use crate::statement_of_rows;

/// A head as it is moved by events that were placed behind it.
#[derive(Debug, Clone)]
pub struct MovedHead {
    /// As it becomes.
    pub log: LogRow,
    /// Number of events that it had, and its root.
    pub was_size: i64,
    pub was_root: Vec<u8>,
    pub signed_at: i64,
    /// None where the row is locked, and the caller has looked at all this.
    pub expected: Option<ExpectedState>,
}

/// The state in which the database must be for a head to be moved at once.
#[derive(Debug, Clone)]
pub struct ExpectedState {
    /// The version of the head's row.
    pub version: String,
    /// Number of the migrations that this program knows, and the newest of them.
    pub schema: (i64, &'static str),
    /// The checkpoint that this process signed last, of any log: log, size and note.
    pub newest: (String, i64, String),
}

/// The rows of a batch.
#[derive(Debug, Default)]
pub struct BatchRows {
    /// Keys that nobody holds; written by [`record_at_once`] only.
    pub claims: Vec<IdempotencyRow>,
    /// People who are new; written by [`record_at_once`] only.
    pub people: Vec<SubjectRow>,
    /// Counters as they become, sorted; written by [`record_at_once`] only. They are not locked: that the heads have
    /// not moved since they were read is what says that nobody else has used them.
    pub counters: Vec<CounterRow>,
    pub heads: Vec<MovedHead>,
    pub grants: Vec<GrantRow>,
    pub events: Vec<EventRow>,
    pub subtrees: Vec<SubtreeRow>,
}

/// The version of a head's row after it was moved, by the log's id.
pub type HeadVersion = (String, String);

/// Writes the rows of a batch whose heads are locked. On PostgreSQL it returns the versions of the heads' rows.
pub fn record_batch(conn: &mut AnyConnection, rows: &BatchRows) -> Result<Vec<HeadVersion>> {
    let c = match conn {
        AnyConnection::Postgres(c) => return Ok(statement(rows).load(c)?),
        AnyConnection::Sqlite(c) => c,
    };
    for grants in in_powers_of_two(&rows.grants) {
        InsertGrants(grants).execute(c)?;
    }
    for events in in_powers_of_two(&rows.events) {
        InsertEvents(events).execute(c)?;
    }
    for head in &rows.heads {
        move_head(c, head)?;
    }
    if !rows.subtrees.is_empty() {
        put_subtrees(conn, &rows.subtrees)?;
    }
    Ok(Vec::new())
}

/// Writes the rows of a batch in one statement of its own, outside any transaction, if every head still has the version
/// that `heads` expect, and all else is as they do: the statement is the commit. PostgreSQL only.
///
/// # Errors
/// [`DatabaseError::Constraint`] or [`DatabaseError::Duplicate`] when a head has moved, or another holds a key or has
/// made a person: nothing is written.
pub fn record_at_once(conn: &mut AnyConnection, rows: &BatchRows) -> Result<Vec<HeadVersion>> {
    match conn {
        AnyConnection::Postgres(c) => Ok(statement(rows).load(c)?),
        AnyConnection::Sqlite(_) => Err(DatabaseError::Query("a batch of SQLite is a transaction".to_owned())),
    }
}

fn statement(rows: &BatchRows) -> columns::RecordBatch<'_> {
    let BatchRows { claims, people, counters, heads, grants, events, subtrees } = rows;
    columns::RecordBatch::of(claims, people, counters, heads, grants, events, subtrees)
}

fn move_head(conn: &mut SqliteConnection, head: &MovedHead) -> Result<()> {
    let MovedHead { log, signed_at, .. } = head;
    diesel::update(logs::table.find(&log.id))
        .set((
            logs::size.eq(log.size),
            logs::frontier.eq(&log.frontier),
            logs::root.eq(&log.root),
            logs::checkpoint.eq(&log.checkpoint),
        ))
        .execute(conn)?;
    diesel::insert_into(checkpoints::table)
        .values((
            checkpoints::log_id.eq(&log.id),
            checkpoints::size.eq(log.size),
            checkpoints::note.eq(&log.checkpoint),
            checkpoints::signed_at.eq(signed_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// Changes the versions of all heads' rows, and nothing else: whatever was sent to be written behind one of them at
/// once is refused from then on. The heads are locked.
pub fn touch_every_log(conn: &mut AnyConnection) -> Result<()> {
    if let AnyConnection::Postgres(c) = conn {
        diesel::update(logs::table).set(logs::size.eq(logs::size)).execute(c)?;
    }
    Ok(())
}

statement_of_rows! {
    InsertGrants, GrantRow,
    "INSERT INTO grants (id, merchant_id, perk_id, check_id, kid, claims, audience, single_use, granted_at, expires_at, \
     guests) VALUES " [
        id: Text,
        merchant_id: Text,
        perk_id: Text,
        check_id: Text,
        kid: Text,
        claims: Text,
        audience: Text,
        single_use: Bool,
        granted_at: BigInt,
        expires_at: BigInt,
        guests: Nullable<Text>,
    ] ""
}

statement_of_rows! {
    InsertEvents, EventRow,
    "INSERT INTO events (log_id, log_index, id, kind, about, at, leaf_hash, body) VALUES " [
        log_id: Text,
        log_index: BigInt,
        id: Text,
        kind: Text,
        about: Text,
        at: BigInt,
        leaf_hash: Binary,
        body: Nullable<Text>,
    ] ""
}
