//! Counters and single uses of limits: there are more of them than of most things.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::{Brief, LIMIT, Result};
use crate::database::AnyConnection;
use crate::database::schema::{limit_counters, limit_uses};
use crate::on_either;

/// A merchant's counter, as far as events record it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = limit_counters)]
pub(crate) struct CounterRow {
    pub perk_id: Brief,
    pub limit_id: Brief,
    pub scope_key: Brief,
    pub window_key: Brief,
    pub used: i64,
    pub horizon: i64,
}

/// A single use of a limit whose uses lapse one by one.
#[derive(Queryable, Selectable)]
#[diesel(table_name = limit_uses)]
pub(crate) struct UseRow {
    pub perk_id: Brief,
    pub limit_id: Brief,
    pub scope_key: Brief,
    pub window_key: Brief,
    pub counts_at: i64,
    pub grant_id: Brief,
    pub cost: i64,
}

/// True if these columns stand behind these values: diesel has no comparison of rows, and its equivalent
/// in ANDs and ORs is no range of the index.
macro_rules! is_behind {
    ($columns:literal, $first:expr $(, $type:ident $value:expr)+) => {
        sql::<Bool>(concat!("(", $columns, ") > ("))
            .bind::<Text, _>($first)
            $(.sql(", ").bind::<$type, _>($value))+
            .sql(")")
    };
}

/// The merchant's uses after one, in the order of the table's key.
pub(crate) fn list_uses(conn: &mut AnyConnection, merchant: &str, after: Option<&UseRow>) -> Result<Vec<UseRow>> {
    use limit_uses::dsl;
    Ok(on_either!(conn, |c| {
        // By the grant would be shorter, and SQLite would sort all uses for each page.
        let rows = limit_uses::table
            .filter(dsl::merchant_id.eq(merchant))
            .order((dsl::perk_id, dsl::limit_id, dsl::scope_key, dsl::window_key, dsl::counts_at, dsl::grant_id))
            .limit(LIMIT)
            .select(UseRow::as_select());
        match after {
            None => rows.load(c)?,
            Some(row) => rows
                .filter(is_behind!(
                    "perk_id, limit_id, scope_key, window_key, counts_at, grant_id",
                    &*row.perk_id,
                    Text &*row.limit_id,
                    Text &*row.scope_key,
                    Text &*row.window_key,
                    BigInt row.counts_at,
                    Text &*row.grant_id
                ))
                .load(c)?,
        }
    }))
}

/// The merchant's counters after one, in the order of the table's key.
pub(crate) fn list_counters(
    conn: &mut AnyConnection,
    merchant: &str,
    after: Option<&CounterRow>,
) -> Result<Vec<CounterRow>> {
    use limit_counters::dsl;
    Ok(on_either!(conn, |c| {
        let rows = limit_counters::table
            .filter(dsl::merchant_id.eq(merchant))
            .order((dsl::perk_id, dsl::limit_id, dsl::scope_key, dsl::window_key))
            .limit(LIMIT)
            .select(CounterRow::as_select());
        match after {
            None => rows.load(c)?,
            Some(row) => rows
                .filter(is_behind!(
                    "perk_id, limit_id, scope_key, window_key",
                    &*row.perk_id,
                    Text & *row.limit_id,
                    Text & *row.scope_key,
                    Text & *row.window_key
                ))
                .load(c)?,
        }
    }))
}
