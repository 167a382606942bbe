//! The heads of logs, old and new, and where in a log an event stands.
//!
//! A batch's look-ups by key have no `LIMIT`: SQLite looks at its parameter, and prepares the statement again each time
//! that it runs.

use diesel::dsl::{count_star, max, sql};
use diesel::prelude::*;
use diesel::query_builder::Query;
use diesel::sql_types::{BigInt, Text};

use super::{CheckpointRow, LogRow, Result};
use crate::database::AnyConnection;
use crate::database::rows::in_powers_of_two;
use crate::database::schema::{checkpoints, events, logs};
use crate::statement_of_rows;

/// All logs as they stand, by name.
pub fn list_logs(conn: &mut AnyConnection) -> Result<Vec<LogRow>> {
    Ok(logs::table.order(logs::name).select(LogRow::as_select()).load(conn)?)
}

/// Names a log that has no origin yet.
pub fn update_origin(conn: &mut AnyConnection, log: &str, origin: &str) -> Result<()> {
    diesel::update(logs::table.find(log)).set(logs::origin.eq(origin)).execute(conn)?;
    Ok(())
}

/// Size and root of a log as it stands.
pub fn find_head(conn: &mut AnyConnection, log: &str) -> Result<Option<(i64, Vec<u8>)>> {
    Ok(logs::table.find(log).select((logs::size, logs::root)).get_result(conn).optional()?)
}

/// Number of logs, and the sum of their sizes.
pub fn sum_heads(conn: &mut AnyConnection) -> Result<(u64, u64)> {
    // PostgreSQL's sum of bigint is a numeric.
    let events = sql::<BigInt>("cast(coalesce(sum(size), 0) as bigint)");
    let (logs, events): (i64, i64) = logs::table.select((count_star(), events)).first(conn)?;
    Ok((logs.unsigned_abs(), events.unsigned_abs()))
}

/// When the newest event of any log was, by the last one of each.
pub fn find_newest_instant(conn: &mut AnyConnection) -> Result<Option<i64>> {
    let last = events::log_id.eq(logs::id).and(events::log_index.eq(logs::size - 1));
    // For each log by its key: of a join SQLite would go through all events.
    let at = events::table.filter(last).select(events::at).single_value();
    Ok(logs::table.select(max(at)).first(conn)?)
}

/// The checkpoint that was signed when the log had this many events, if one was.
pub fn find_checkpoint(conn: &mut AnyConnection, log: &str, size: i64) -> Result<Option<CheckpointRow>> {
    Ok(checkpoints::table.find((log, size)).select(CheckpointRow::as_select()).get_result(conn).optional()?)
}

/// Those of these checkpoints that are kept, each wanted by its log and size; in no order.
pub fn list_kept(conn: &mut AnyConnection, wanted: &[(&str, i64)]) -> Result<Vec<CheckpointRow>> {
    let mut kept = Vec::with_capacity(wanted.len());
    match conn {
        AnyConnection::Postgres(_) => {
            for (log, size) in wanted {
                kept.extend(find_checkpoint(conn, log, *size)?);
            }
        }
        AnyConnection::Sqlite(c) => {
            for wanted in in_powers_of_two(wanted) {
                kept.extend(FindCheckpoints(wanted).load::<CheckpointRow>(c)?);
            }
        }
    }
    Ok(kept)
}

statement_of_rows! {
    FindCheckpoints, (&'a str, i64),
    "WITH wanted (log_id, size) AS (VALUES " [0: Text, 1: BigInt] ") \
     SELECT held.log_id, held.size, held.note, held.signed_at FROM wanted CROSS JOIN checkpoints AS held \
     ON held.log_id = wanted.log_id AND held.size = wanted.size"
}

impl Query for FindCheckpoints<'_> {
    type SqlType = (Text, BigInt, Text, BigInt);
}

/// The log's checkpoints of fewer than `below` events, the newest first.
pub fn list_checkpoints(conn: &mut AnyConnection, log: &str, below: i64, limit: i64) -> Result<Vec<CheckpointRow>> {
    Ok(checkpoints::table
        .filter(checkpoints::log_id.eq(log).and(checkpoints::size.lt(below)))
        .order(checkpoints::size.desc())
        .limit(limit)
        .select(CheckpointRow::as_select())
        .load(conn)?)
}

/// Tells whether one of the log's events from index `from` on and before `before` is of this kind.
pub fn any_of_kind(conn: &mut AnyConnection, log: &str, (from, before): (i64, i64), kind: &str) -> Result<bool> {
    let first: Option<i64> = events::table
        .filter(events::log_id.eq(log).and(events::log_index.ge(from)).and(events::log_index.lt(before)))
        .filter(events::kind.eq(kind))
        .select(events::log_index)
        .first(conn)
        .optional()?;
    Ok(first.is_some())
}

/// Index, leaf hash and body of an event.
pub type LeafColumns = (i64, Vec<u8>, Option<String>);

/// The leaf of an event, if it stands in this log.
pub fn find_leaf(conn: &mut AnyConnection, log: &str, event: &str) -> Result<Option<LeafColumns>> {
    Ok(events::table
        .filter(events::id.eq(event).and(events::log_id.eq(log)))
        .select((events::log_index, events::leaf_hash, events::body))
        .first(conn)
        .optional()?)
}
