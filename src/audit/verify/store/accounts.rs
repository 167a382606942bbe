//! Accounts and clerks, as far as events recompute them: whether they are kept from logging in, and how often their PIN was
//! set.

use std::collections::BTreeMap;

use diesel::prelude::*;

use crate::database::schema::{accounts, clerks};
use crate::database::{AnyConnection, DatabaseError};

/// The accounts that act under these keys, and whether each is suspended.
pub(crate) fn list_suspensions<'a>(
    conn: &mut AnyConnection,
    keys: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, bool>, DatabaseError> {
    let keys: Vec<&str> = keys.collect();
    let rows: Vec<(String, Option<i64>)> = accounts::table
        .filter(accounts::key_id.eq_any(keys))
        .select((accounts::key_id, accounts::suspended_at))
        .load(conn)?;
    Ok(rows.into_iter().map(|(key, at)| (key, at.is_some())).collect())
}

/// The clerks who act under these keys, and how often the PIN of each was set again.
pub(crate) fn list_pins<'a>(
    conn: &mut AnyConnection,
    keys: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, i32>, DatabaseError> {
    let keys: Vec<&str> = keys.collect();
    let rows: Vec<(String, i32)> = clerks::table
        .filter(clerks::key_id.eq_any(keys))
        .select((clerks::key_id, clerks::pin_generation))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}
