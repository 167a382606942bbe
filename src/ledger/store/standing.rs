//! The uses that stand in one counter: who is inside.

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
