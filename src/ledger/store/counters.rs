//! The counters of limits.

use diesel::prelude::*;
use diesel::query_builder::Query;
use diesel::sql_types::{BigInt, Text};

use super::{Result, columns};
use crate::database::rows::in_powers_of_two;
use crate::database::schema::limit_counters;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::statement_of_rows;

/// The used amount of one limit, for one scope value in one window.
#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable, QueryableByName)]
#[diesel(table_name = limit_counters, treat_none_as_default_value = false)]
pub struct CounterRow {
    pub merchant_id: String,
    pub perk_id: String,
    pub limit_id: String,
    pub scope_key: String,
    pub window_key: String,
    pub used: i64,
    pub last_used_at: i64,
    /// Up to which position its uses have been taken off `used`, where they lapse one by one.
    pub horizon: i64,
}

/// Makes the counters that are missing, locks all of them, and returns them as they stand.
/// `rows` are sorted: everyone locks in that order. The update changes nothing; it takes the lock,
/// which `DO NOTHING` would not, and lets one statement do all three.
pub fn lock_counters(conn: &mut AnyConnection, rows: &[CounterRow]) -> Result<Vec<CounterRow>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    match conn {
        AnyConnection::Postgres(c) => Ok(columns::LockCounters::of(rows).load(c)?),
        AnyConnection::Sqlite(c) => {
            let mut locked = Vec::with_capacity(rows.len());
            for rows in in_powers_of_two(rows) {
                locked.extend(LockCounters(rows).load::<CounterRow>(c)?);
            }
            Ok(locked)
        }
    }
}

/// Those of these counters that there are, as they stand, without locking or making any. PostgreSQL only.
pub fn find_counters(conn: &mut AnyConnection, rows: &[CounterRow]) -> Result<Vec<CounterRow>> {
    match conn {
        _ if rows.is_empty() => Ok(Vec::new()),
        AnyConnection::Postgres(c) => Ok(columns::FindCounters::of(rows).load(c)?),
        AnyConnection::Sqlite(_) => Err(DatabaseError::Query("a batch of SQLite is a transaction".to_owned())),
    }
}

/// Writes back counters that are locked.
pub fn update_counters(conn: &mut AnyConnection, rows: &[CounterRow]) -> Result<()> {
    match conn {
        AnyConnection::Postgres(_) if rows.is_empty() => {}
        AnyConnection::Postgres(c) => {
            columns::UpdateCounters::of(rows).execute(c)?;
        }
        AnyConnection::Sqlite(c) => {
            for rows in in_powers_of_two(rows) {
                UpdateCounters(rows).execute(c)?;
            }
        }
    }
    Ok(())
}

/// Those of the merchant's counters that there are, each by its perk, limit, scope and window; as they stand, without
/// locking them.
pub fn list_counters(conn: &mut AnyConnection, merchant: &MerchantId, keys: &[[&str; 4]]) -> Result<Vec<CounterRow>> {
    macro_rules! query {
        ($conn:expr) => {{
            let mut query = limit_counters::table.select(CounterRow::as_select()).into_boxed();
            for [perk, limit, scope, window] in keys {
                query = query.or_filter(
                    limit_counters::merchant_id
                        .eq(merchant.as_str())
                        .and(limit_counters::perk_id.eq(*perk))
                        .and(limit_counters::limit_id.eq(*limit))
                        .and(limit_counters::scope_key.eq(*scope))
                        .and(limit_counters::window_key.eq(*window)),
                );
            }
            query.load($conn)?
        }};
    }
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    Ok(match conn {
        AnyConnection::Postgres(c) => query!(c),
        AnyConnection::Sqlite(c) => query!(c),
    })
}

statement_of_rows! {
    LockCounters, CounterRow,
    "INSERT INTO limit_counters (merchant_id, perk_id, limit_id, scope_key, window_key, used, last_used_at, horizon) \
     VALUES " [
        merchant_id: Text,
        perk_id: Text,
        limit_id: Text,
        scope_key: Text,
        window_key: Text,
        used: BigInt,
        last_used_at: BigInt,
        horizon: BigInt,
    ] " ON CONFLICT (merchant_id, perk_id, limit_id, scope_key, window_key) \
       DO UPDATE SET last_used_at = limit_counters.last_used_at \
       RETURNING merchant_id, perk_id, limit_id, scope_key, window_key, used, last_used_at, horizon"
}

impl Query for LockCounters<'_> {
    type SqlType = (Text, Text, Text, Text, Text, BigInt, BigInt, BigInt);
}

statement_of_rows! {
    UpdateCounters, CounterRow,
    "INSERT INTO limit_counters (merchant_id, perk_id, limit_id, scope_key, window_key, used, last_used_at, horizon) \
     VALUES " [
        merchant_id: Text,
        perk_id: Text,
        limit_id: Text,
        scope_key: Text,
        window_key: Text,
        used: BigInt,
        last_used_at: BigInt,
        horizon: BigInt,
    ] " ON CONFLICT (merchant_id, perk_id, limit_id, scope_key, window_key) DO UPDATE SET used = excluded.used, \
       last_used_at = excluded.last_used_at, horizon = excluded.horizon"
}
