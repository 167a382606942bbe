//! The reads of an export, in pages of bounded size; never a write.

use diesel::prelude::*;

use crate::database::schema::{checkpoints, events, keyring_keys};
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::store::CheckpointRow;
use crate::on_either;

type Result<T> = std::result::Result<T, DatabaseError>;

/// A log key's public half and when it signed.
#[derive(Queryable)]
pub(super) struct LogKeyRow {
    pub name: String,
    pub public_key: Option<Vec<u8>>,
    pub signs_from: i64,
    pub retires_at: Option<i64>,
}

/// All log keys, in the order they take over from each other; nothing is unwrapped.
pub(super) fn list_log_keys(conn: &mut AnyConnection) -> Result<Vec<LogKeyRow>> {
    Ok(keyring_keys::table
        .filter(keyring_keys::purpose.eq("log"))
        .order((keyring_keys::signs_from, keyring_keys::created_at, keyring_keys::kid))
        .select((keyring_keys::kid, keyring_keys::public_key, keyring_keys::signs_from, keyring_keys::retires_at))
        .load(conn)?)
}

/// The first or the last index from the first on and before the second whose event was at or after one
/// instant and before the other.
pub(super) fn find_within(
    conn: &mut AnyConnection,
    log: &str,
    (from, before): (i64, i64),
    (since, until): (i64, i64),
    last: bool,
) -> Result<Option<i64>> {
    Ok(on_either!(conn, |c| {
        let within = events::table
            .filter(events::log_id.eq(log).and(events::log_index.ge(from)).and(events::log_index.lt(before)))
            .filter(events::at.ge(since).and(events::at.lt(until)))
            .select(events::log_index);
        if last {
            within.order(events::log_index.desc()).first(c).optional()?
        } else {
            within.order(events::log_index).first(c).optional()?
        }
    }))
}

/// The log's checkpoints of at least `from` events and at most `most` of them, the smallest first.
pub(super) fn list_checkpoints_from(
    conn: &mut AnyConnection,
    log: &str,
    from: i64,
    most: i64,
) -> Result<Vec<CheckpointRow>> {
    Ok(on_either!(conn, |c| checkpoints::table
        .filter(checkpoints::log_id.eq(log).and(checkpoints::size.ge(from)))
        .order(checkpoints::size)
        .limit(most)
        .select(CheckpointRow::as_select())
        .load(c)?))
}

/// Tells whether the log has an event of this kind about its owner, at the index or behind it.
pub(super) fn is_recorded_behind(
    conn: &mut AnyConnection,
    (log, index): (&str, i64),
    owner: &str,
    kind: &str,
) -> Result<bool> {
    let recorded = events::table
        .filter(events::log_id.eq(log).and(events::log_index.ge(index)))
        .filter(events::about.eq(owner).and(events::kind.eq(kind)));
    Ok(diesel::select(diesel::dsl::exists(recorded)).get_result(conn)?)
}
