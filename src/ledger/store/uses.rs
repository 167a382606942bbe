//! Rows of uses that are counted one by one.

use diesel::prelude::*;
use diesel::query_builder::Query;
use diesel::sql_types::{BigInt, Text};

use super::{CounterRow, Result};
use crate::database::AnyConnection;
use crate::database::rows::in_powers_of_two;
use crate::database::schema::limit_uses;
use crate::{on_either, statement_of_columns, statement_of_rows};

/// The most uses of a counter that one read returns.
pub const PAGE_OF_USES: usize = 256;

/// One use of a rolling or concurrent limit.
#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
#[diesel(table_name = limit_uses, treat_none_as_default_value = false)]
pub struct UseRow {
    pub merchant_id: String,
    pub perk_id: String,
    pub limit_id: String,
    pub scope_key: String,
    pub window_key: String,
    /// The position at which it lapses: when it was used (rolling), or until when it is held.
    pub counts_at: i64,
    pub grant_id: String,
    pub cost: i64,
    /// The longest time a guest may stay, in microseconds; 0 for a rolling use, which holds nothing.
    pub stay: i64,
}

/// Which uses of a counter to read: those behind a position and a grant, up to a position.
#[derive(Debug, Clone)]
pub struct UsesWanted {
    pub counter: CounterRow,
    pub after: i64,
    pub after_grant: String,
    pub until: i64,
}

/// For each of `wanted`, what its uses with `after` < position ≤ `until` cost together.
pub fn sum_uses(conn: &mut AnyConnection, wanted: &[UsesWanted]) -> Result<Vec<i64>> {
    let mut sums = vec![0; wanted.len()];
    let asked: Vec<_> = (0..).zip(wanted).filter(|(_, wanted)| wanted.after < wanted.until).collect();
    if asked.is_empty() {
        return Ok(sums);
    }
    let found: Vec<(i64, i64)> = match conn {
        AnyConnection::Postgres(c) => SumUses::of(&asked).load(c)?,
        AnyConnection::Sqlite(c) => {
            let mut found = Vec::with_capacity(asked.len());
            for (nth, wanted) in asked {
                // Summed by the database: a counter that slept may have passed over any number.
                let sum = diesel::dsl::sql::<BigInt>("coalesce(sum(cost), 0)");
                let row = uses_of(&wanted.counter)
                    .filter(limit_uses::counts_at.gt(wanted.after).and(limit_uses::counts_at.le(wanted.until)))
                    .select(sum)
                    .first(c)?;
                found.push((nth, row));
            }
            found
        }
    };
    for (nth, sum) in found {
        if let Some(place) = usize::try_from(nth).ok().and_then(|nth| sums.get_mut(nth)) {
            *place = sum;
        }
    }
    Ok(sums)
}

/// For each of `wanted`, its next uses in the order of their positions, up to [`PAGE_OF_USES`].
/// `until` does not bound them.
pub fn list_uses(conn: &mut AnyConnection, wanted: &[UsesWanted]) -> Result<Vec<Vec<UseRow>>> {
    let mut pages = vec![Vec::new(); wanted.len()];
    if wanted.is_empty() {
        return Ok(pages);
    }
    match conn {
        AnyConnection::Postgres(c) => {
            let asked: Vec<_> = (0..).zip(wanted).collect();
            let found: Vec<(i64, i64, String, i64, i64)> = NextUses::of(&asked).load(c)?;
            for (nth, counts_at, grant_id, cost, stay) in found {
                let nth = usize::try_from(nth).unwrap_or(usize::MAX);
                if let (Some(page), Some(wanted)) = (pages.get_mut(nth), wanted.get(nth)) {
                    page.push(use_of(&wanted.counter, counts_at, grant_id, cost, stay));
                }
            }
        }
        AnyConnection::Sqlite(c) => {
            for (page, wanted) in pages.iter_mut().zip(wanted) {
                *page =
                    uses_of(&wanted.counter)
                        .filter(limit_uses::counts_at.gt(wanted.after).or(
                            limit_uses::counts_at.eq(wanted.after).and(limit_uses::grant_id.gt(&wanted.after_grant)),
                        ))
                        .order((limit_uses::counts_at, limit_uses::grant_id))
                        .limit(i64::try_from(PAGE_OF_USES).unwrap_or(i64::MAX))
                        .select(UseRow::as_select())
                        .load(c)?;
            }
        }
    }
    Ok(pages)
}

/// The uses of these grants.
pub fn list_uses_of(conn: &mut AnyConnection, grants: &[&str]) -> Result<Vec<UseRow>> {
    if grants.is_empty() {
        return Ok(Vec::new());
    }
    Ok(on_either!(conn, |c| limit_uses::table
        .filter(limit_uses::grant_id.eq_any(grants))
        .select(UseRow::as_select())
        .load(c)?))
}

/// Some of the uses, every merchant's, that stand at or behind `lapsed`, of ids of one prefix that sort before
/// `before`, which keeps the search to those that are old.
pub fn list_lapsed_uses(
    conn: &mut AnyConnection,
    (prefix, before): (&str, &str),
    lapsed: i64,
    limit: usize,
) -> Result<Vec<UseRow>> {
    Ok(limit_uses::table
        .filter(limit_uses::grant_id.ge(prefix).and(limit_uses::grant_id.lt(before)))
        .filter(limit_uses::counts_at.le(lapsed))
        .order(limit_uses::grant_id)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(UseRow::as_select())
        .load(conn)?)
}

pub fn insert_uses(conn: &mut AnyConnection, rows: &[UseRow]) -> Result<()> {
    match conn {
        AnyConnection::Postgres(_) if rows.is_empty() => {}
        AnyConnection::Postgres(c) => {
            InsertUses::of(rows).execute(c)?;
        }
        AnyConnection::Sqlite(c) => {
            for rows in in_powers_of_two(rows) {
                InsertRows(rows).execute(c)?;
            }
        }
    }
    Ok(())
}

pub fn delete_uses(conn: &mut AnyConnection, rows: &[UseRow]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    match conn {
        AnyConnection::Postgres(c) => {
            DeleteUses::of(rows).execute(c)?;
        }
        AnyConnection::Sqlite(c) => {
            for row in rows {
                diesel::delete(limit_uses::table.find((
                    &row.merchant_id,
                    &row.perk_id,
                    &row.limit_id,
                    &row.scope_key,
                    &row.window_key,
                    row.counts_at,
                    &row.grant_id,
                )))
                .execute(c)?;
            }
        }
    }
    Ok(())
}

#[diesel::dsl::auto_type(no_type_alias)]
fn uses_of<'a>(counter: &'a CounterRow) -> _ {
    let (merchant, perk, limit): (&'a str, &'a str, &'a str) =
        (counter.merchant_id.as_str(), counter.perk_id.as_str(), counter.limit_id.as_str());
    let (scope, window): (&'a str, &'a str) = (counter.scope_key.as_str(), counter.window_key.as_str());
    limit_uses::table
        .filter(limit_uses::merchant_id.eq(merchant))
        .filter(limit_uses::perk_id.eq(perk))
        .filter(limit_uses::limit_id.eq(limit))
        .filter(limit_uses::scope_key.eq(scope))
        .filter(limit_uses::window_key.eq(window))
}

fn use_of(counter: &CounterRow, counts_at: i64, grant_id: String, cost: i64, stay: i64) -> UseRow {
    let CounterRow { merchant_id, perk_id, limit_id, scope_key, window_key, .. } = counter.clone();
    UseRow { merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, grant_id, cost, stay }
}

statement_of_columns! {
    SumUses, |row: (i64, &'a UsesWanted)|
    "SELECT wanted.nth, coalesce(sum(held.cost), 0)::bigint FROM unnest(" [
        nths: BigInt = row.0,
        merchants: Text = row.1.counter.merchant_id.as_str(),
        perks: Text = row.1.counter.perk_id.as_str(),
        limits: Text = row.1.counter.limit_id.as_str(),
        scopes: Text = row.1.counter.scope_key.as_str(),
        windows: Text = row.1.counter.window_key.as_str(),
        lows: BigInt = row.1.after,
        highs: BigInt = row.1.until,
    ] ") AS wanted (nth, merchant_id, perk_id, limit_id, scope_key, window_key, low, high) \
       JOIN limit_uses AS held USING (merchant_id, perk_id, limit_id, scope_key, window_key) \
       WHERE held.counts_at > wanted.low AND held.counts_at <= wanted.high GROUP BY wanted.nth"
}

impl Query for SumUses<'_> {
    type SqlType = (BigInt, BigInt);
}

statement_of_columns! {
    NextUses, |row: (i64, &'a UsesWanted)|
    "SELECT wanted.nth, next.counts_at, next.grant_id, next.cost, next.stay FROM unnest(" [
        nths: BigInt = row.0,
        merchants: Text = row.1.counter.merchant_id.as_str(),
        perks: Text = row.1.counter.perk_id.as_str(),
        limits: Text = row.1.counter.limit_id.as_str(),
        scopes: Text = row.1.counter.scope_key.as_str(),
        windows: Text = row.1.counter.window_key.as_str(),
        lows: BigInt = row.1.after,
        grants: Text = row.1.after_grant.as_str(),
    ] ") AS wanted (nth, merchant_id, perk_id, limit_id, scope_key, window_key, low, low_grant) \
       CROSS JOIN LATERAL (SELECT held.counts_at, held.grant_id, held.cost, held.stay FROM limit_uses AS held \
       WHERE held.merchant_id = wanted.merchant_id AND held.perk_id = wanted.perk_id \
       AND held.limit_id = wanted.limit_id AND held.scope_key = wanted.scope_key \
       AND held.window_key = wanted.window_key AND (held.counts_at, held.grant_id) > (wanted.low, wanted.low_grant) \
       ORDER BY held.counts_at, held.grant_id LIMIT 256) AS next ORDER BY wanted.nth, next.counts_at, next.grant_id"
}

impl Query for NextUses<'_> {
    type SqlType = (BigInt, BigInt, Text, BigInt, BigInt);
}

statement_of_columns! {
    InsertUses, |row: UseRow|
    "INSERT INTO limit_uses (merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, grant_id, cost, stay) \
     SELECT * FROM unnest(" [
        merchants: Text = row.merchant_id.as_str(),
        perks: Text = row.perk_id.as_str(),
        limits: Text = row.limit_id.as_str(),
        scopes: Text = row.scope_key.as_str(),
        windows: Text = row.window_key.as_str(),
        positions: BigInt = row.counts_at,
        grants: Text = row.grant_id.as_str(),
        costs: BigInt = row.cost,
        durations: BigInt = row.stay,
    ] ")"
}

statement_of_rows! {
    InsertRows, UseRow,
    "INSERT INTO limit_uses (merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, grant_id, cost, stay) \
     VALUES " [
        merchant_id: Text,
        perk_id: Text,
        limit_id: Text,
        scope_key: Text,
        window_key: Text,
        counts_at: BigInt,
        grant_id: Text,
        cost: BigInt,
        stay: BigInt,
    ] ""
}

statement_of_columns! {
    DeleteUses, |row: UseRow|
    "DELETE FROM limit_uses AS held USING unnest(" [
        merchants: Text = row.merchant_id.as_str(),
        perks: Text = row.perk_id.as_str(),
        limits: Text = row.limit_id.as_str(),
        scopes: Text = row.scope_key.as_str(),
        windows: Text = row.window_key.as_str(),
        positions: BigInt = row.counts_at,
        grants: Text = row.grant_id.as_str(),
    ] ") AS removed (merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, grant_id) \
       WHERE held.merchant_id = removed.merchant_id AND held.perk_id = removed.perk_id \
       AND held.limit_id = removed.limit_id AND held.scope_key = removed.scope_key \
       AND held.window_key = removed.window_key AND held.counts_at = removed.counts_at AND held.grant_id = removed.grant_id"
}
