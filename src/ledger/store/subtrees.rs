//! The stored roots of whole subtrees, and the leaf hashes below them.

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::Result;
use crate::database::schema::{events, logs, subtrees};
use crate::database::{AnyConnection, DatabaseError};
use crate::on_either;
use crate::tlog::merkle::{Hash, Subtree};

/// The root of a whole subtree of a log.
#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
#[diesel(table_name = subtrees, treat_none_as_default_value = false)]
pub struct SubtreeRow {
    pub log_id: String,
    pub level: i32,
    pub nth: i64,
    pub hash: Vec<u8>,
}

impl SubtreeRow {
    /// The subtree of this log.
    ///
    /// # Errors
    /// [`DatabaseError::Corrupt`] for a place that no column holds.
    pub fn new(log: &str, subtree: &Subtree) -> Result<Self> {
        let Subtree { level, nth, hash } = subtree;
        Ok(Self {
            log_id: log.to_owned(),
            level: i32::try_from(*level).map_err(|e| DatabaseError::corrupt("subtree", e))?,
            nth: i64::try_from(*nth).map_err(|e| DatabaseError::corrupt("subtree", e))?,
            hash: hash.to_vec(),
        })
    }
}

/// Writes subtrees, over what may stand in their places: what follows from the events is right.
pub fn put_subtrees(conn: &mut AnyConnection, rows: &[SubtreeRow]) -> Result<usize> {
    use subtrees::dsl;
    Ok(on_either!(conn, |c| diesel::insert_into(subtrees::table)
        .values(rows)
        .on_conflict((dsl::log_id, dsl::level, dsl::nth))
        .do_update()
        .set(dsl::hash.eq(excluded(dsl::hash)))
        .execute(c)?))
}

/// Those of a level from `from` on and before `before` that are stored, in their order.
pub fn list_subtrees(
    conn: &mut AnyConnection,
    log: &str,
    level: u32,
    (from, before): (u64, u64),
) -> Result<Vec<(u64, Hash)>> {
    let (level, from, before) = (bound(level.into())?, bound(from)?, bound(before)?);
    let level = i32::try_from(level).map_err(|e| DatabaseError::corrupt("subtree", e))?;
    let rows = on_either!(conn, |c| subtrees::table
        .filter(subtrees::log_id.eq(log).and(subtrees::level.eq(level)))
        .filter(subtrees::nth.ge(from).and(subtrees::nth.lt(before)))
        .order(subtrees::nth)
        .select((subtrees::nth, subtrees::hash))
        .load(c)?);
    hashes(rows, "subtree")
}

/// The leaf hashes from the index `from` on and before `before`, in the log's order.
pub fn list_leaves(conn: &mut AnyConnection, log: &str, (from, before): (u64, u64)) -> Result<Vec<(u64, Hash)>> {
    let (from, before) = (bound(from)?, bound(before)?);
    let rows = on_either!(conn, |c| events::table
        .filter(events::log_id.eq(log))
        .filter(events::log_index.ge(from).and(events::log_index.lt(before)))
        .order(events::log_index)
        .select((events::log_index, events::leaf_hash))
        .load(c)?);
    hashes(rows, "leaf hash")
}

/// The most that [`list_stored`] returns.
pub const PAGE_OF_SUBTREES: usize = 1000;

/// The stored subtrees of a level behind `after`, in their order and whatever stands there: for who
/// compares them.
pub fn list_stored(conn: &mut AnyConnection, log: &str, level: u32, after: i64) -> Result<Vec<(i64, Vec<u8>)>> {
    let level = i32::try_from(level).map_err(|e| DatabaseError::corrupt("subtree", e))?;
    Ok(on_either!(conn, |c| subtrees::table
        .filter(subtrees::log_id.eq(log).and(subtrees::level.eq(level)).and(subtrees::nth.gt(after)))
        .order(subtrees::nth)
        .limit(1000)
        .select((subtrees::nth, subtrees::hash))
        .load(c)?))
}

/// The first and the last of each level that is stored.
pub fn list_bounds(conn: &mut AnyConnection, log: &str) -> Result<Vec<(i32, i64, i64)>> {
    use diesel::dsl::{max, min};
    let rows: Vec<(i32, Option<i64>, Option<i64>)> = on_either!(conn, |c| subtrees::table
        .filter(subtrees::log_id.eq(log))
        .group_by(subtrees::level)
        .order(subtrees::level)
        .select((subtrees::level, min(subtrees::nth), max(subtrees::nth)))
        .load(c)?);
    Ok(rows.into_iter().filter_map(|(level, least, most)| Some((level, least?, most?))).collect())
}

/// Number of subtrees of each level that are stored for a log, the lowest level first.
pub fn count_subtrees(conn: &mut AnyConnection, log: &str) -> Result<Vec<(i32, i64)>> {
    Ok(on_either!(conn, |c| subtrees::table
        .filter(subtrees::log_id.eq(log))
        .group_by(subtrees::level)
        .order(subtrees::level)
        .select((subtrees::level, diesel::dsl::count_star()))
        .load(c)?))
}

/// Ids and sizes of the logs that have at least `size` events.
pub fn list_logs_of(conn: &mut AnyConnection, size: i64) -> Result<Vec<(String, i64)>> {
    Ok(logs::table.filter(logs::size.ge(size)).order(logs::id).select((logs::id, logs::size)).load(conn)?)
}

fn bound(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|e| DatabaseError::corrupt("log size", e))
}

fn hashes(rows: Vec<(i64, Vec<u8>)>, what: &'static str) -> Result<Vec<(u64, Hash)>> {
    let hash = |(nth, hash): (i64, Vec<u8>)| {
        let nth = u64::try_from(nth).map_err(|e| DatabaseError::corrupt(what, e))?;
        let hash = hash.try_into().map_err(|_| DatabaseError::corrupt(what, "it is not 32 bytes"))?;
        Ok((nth, hash))
    };
    rows.into_iter().map(hash).collect()
}
