//! The uses that stand in one counter: who is inside.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::{PAGE_OF_USES, Result, UseRow};
use crate::database::AnyConnection;
use crate::database::schema::limit_uses;
use crate::foundation::ids::MerchantId;
use crate::on_either;

/// The length of the stretches by which uses are summed: a quarter of an hour.
pub const SLOT_MICROS: i64 = 900_000_000;

/// The uses that lapse in one stretch of [`SLOT_MICROS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct SlotRow {
    /// How many such stretches there were before it.
    #[diesel(sql_type = BigInt)]
    pub slot: i64,
    #[diesel(sql_type = BigInt)]
    pub cost: i64,
}

/// The uses of a counter (its perk, limit, scope and window) that lapse behind `after`, summed by when; summed by the
/// database, as a hall holds thousands.
pub fn sum_standing(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    counter: &[&str; 4],
    after: i64,
) -> Result<Vec<SlotRow>> {
    const SUMS: &str = "SELECT counts_at / 900000000 AS slot, CAST(sum(cost) AS BIGINT) AS cost FROM limit_uses \
        WHERE merchant_id = $1 AND perk_id = $2 AND limit_id = $3 AND scope_key = $4 AND window_key = $5 \
        AND counts_at > $6 GROUP BY counts_at / 900000000 ORDER BY 1";
    let [perk, limit, scope, window] = *counter;
    Ok(on_either!(conn, |c| diesel::sql_query(SUMS)
        .bind::<Text, _>(merchant.as_str())
        .bind::<Text, _>(perk)
        .bind::<Text, _>(limit)
        .bind::<Text, _>(scope)
        .bind::<Text, _>(window)
        .bind::<BigInt, _>(after)
        .load(c)?))
}

/// All uses at one position of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct PositionRow {
    #[diesel(sql_type = BigInt)]
    pub counts_at: i64,
    #[diesel(sql_type = BigInt)]
    pub cost: i64,
}

/// Up to `limit` positions of a counter behind `after` where people stand: first of undone grants, then where a guest came
/// in, then what is only held; by when they lapse.
pub fn list_positions(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    counter: &[&str; 4],
    after: i64,
    limit: i64,
) -> Result<Vec<PositionRow>> {
    const POSITIONS: &str = "SELECT used.counts_at, CAST(sum(used.cost) AS BIGINT) AS cost, min(CASE \
        WHEN used.cost < 0 THEN 2 \
        WHEN substr(used.grant_id, 1, 4) = 'occ_' THEN 1 \
        WHEN EXISTS (SELECT 1 FROM grants WHERE grants.id = used.grant_id AND grants.frees_at IS NOT NULL) THEN 0 \
        WHEN EXISTS (SELECT 1 FROM redemptions WHERE redemptions.grant_id = used.grant_id) THEN 1 \
        ELSE 2 END) AS turn FROM limit_uses AS used \
        WHERE used.merchant_id = $1 AND used.perk_id = $2 AND used.limit_id = $3 AND used.scope_key = $4 \
        AND used.window_key = $5 AND used.counts_at > $6 GROUP BY used.counts_at HAVING sum(used.cost) > 0 \
        ORDER BY turn, used.counts_at LIMIT $7";
    let [perk, limit_id, scope, window] = *counter;
    Ok(on_either!(conn, |c| diesel::sql_query(POSITIONS)
        .bind::<Text, _>(merchant.as_str())
        .bind::<Text, _>(perk)
        .bind::<Text, _>(limit_id)
        .bind::<Text, _>(scope)
        .bind::<Text, _>(window)
        .bind::<BigInt, _>(after)
        .bind::<BigInt, _>(limit)
        .load(c)?))
}

/// Up to [`PAGE_OF_USES`] uses of a counter behind a position and a name, in the order in which they lapse.
pub fn list_standing(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    counter: &[&str; 4],
    (after, after_name): (i64, &str),
) -> Result<Vec<UseRow>> {
    let [perk, limit, scope, window] = *counter;
    let behind = limit_uses::counts_at.gt(after);
    let behind = behind.or(limit_uses::counts_at.eq(after).and(limit_uses::grant_id.gt(after_name)));
    Ok(on_either!(conn, |c| limit_uses::table
        .filter(limit_uses::merchant_id.eq(merchant.as_str()).and(limit_uses::perk_id.eq(perk)))
        .filter(limit_uses::limit_id.eq(limit).and(limit_uses::scope_key.eq(scope)))
        .filter(limit_uses::window_key.eq(window))
        .filter(behind)
        .order((limit_uses::counts_at, limit_uses::grant_id))
        .limit(i64::try_from(PAGE_OF_USES).unwrap_or(i64::MAX))
        .select(UseRow::as_select())
        .load(c)?))
}

/// The uses, or of them the corrections that take people off, of the same counters at the same positions as `uses`.
pub fn list_beside(conn: &mut AnyConnection, uses: &[&UseRow], only_corrections: bool) -> Result<Vec<UseRow>> {
    /// Bounded binds a statement.
    const AT_ONCE: usize = 1000;
    let at = |row: &UseRow| {
        let UseRow { merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, .. } = row.clone();
        (merchant_id, perk_id, limit_id, scope_key, window_key, counts_at)
    };
    let mut found = Vec::new();
    for chunk in uses.chunks(AT_ONCE) {
        let wanted: BTreeSet<_> = chunk.iter().map(|row| at(row)).collect();
        let distinct = |text: fn(&UseRow) -> &str| chunk.iter().map(|row| text(row)).collect::<BTreeSet<_>>();
        let positions: BTreeSet<i64> = chunk.iter().map(|row| row.counts_at).collect();
        let most = if only_corrections { -1 } else { i64::MAX };
        let rows: Vec<UseRow> = on_either!(conn, |c| limit_uses::table
            .filter(limit_uses::merchant_id.eq_any(distinct(|row| &row.merchant_id)))
            .filter(limit_uses::perk_id.eq_any(distinct(|row| &row.perk_id)))
            .filter(limit_uses::limit_id.eq_any(distinct(|row| &row.limit_id)))
            .filter(limit_uses::scope_key.eq_any(distinct(|row| &row.scope_key)))
            .filter(limit_uses::window_key.eq_any(distinct(|row| &row.window_key)))
            .filter(limit_uses::counts_at.eq_any(&positions))
            .filter(limit_uses::cost.le(most))
            .select(UseRow::as_select())
            .load(c)?);
        found.extend(rows.into_iter().filter(|row| wanted.contains(&at(row))));
    }
    Ok(found)
}
