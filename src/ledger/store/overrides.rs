//! The rows of refusals that were overridden.

use diesel::prelude::*;

use super::Result;
use crate::database::AnyConnection;
use crate::database::schema::overrides;
use crate::foundation::ids::{CheckId, MerchantId, PerkSlug};
use crate::on_either;

#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
#[diesel(table_name = overrides)]
pub struct OverrideRow {
    /// The check that was refused.
    pub check_id: String,
    pub merchant_id: String,
    pub perk_id: String,
    pub perk: String,
    pub rule_version: i32,
    /// The check that was granted in its place.
    pub granted_check: String,
    pub grant_id: String,
    pub tier: String,
    pub reason: String,
    /// The key or clerk.
    pub overridden_by: String,
    pub overridden_at: i64,
    /// Paid entries only, as all that follow: the merchant's own name for the payment, used once.
    pub reference: Option<String>,
    pub amount: Option<String>,
    pub currency: Option<String>,
}

/// Writes the row unless the check has one, or another its reference; the number of rows that were written. Waits for another
/// transaction that writes it.
pub fn insert_override(conn: &mut AnyConnection, row: &OverrideRow) -> Result<usize> {
    Ok(on_either!(conn, |c| diesel::insert_into(overrides::table).values(row).on_conflict_do_nothing().execute(c)?))
}

pub fn find_override(conn: &mut AnyConnection, merchant: &MerchantId, check: &CheckId) -> Result<Option<OverrideRow>> {
    let whose = overrides::table.find(check.as_str()).filter(overrides::merchant_id.eq(merchant.as_str()));
    Ok(whose.select(OverrideRow::as_select()).first(conn).optional()?)
}

/// The override that this payment was for.
pub fn find_paid(conn: &mut AnyConnection, merchant: &MerchantId, reference: &str) -> Result<Option<OverrideRow>> {
    let whose = overrides::merchant_id.eq(merchant.as_str()).and(overrides::reference.eq(reference));
    Ok(overrides::table.filter(whose).select(OverrideRow::as_select()).first(conn).optional()?)
}

/// Up to `most` of the merchant's overrides, or of one perk's, the newest first, from before the granted check `before`.
pub fn list_overrides(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: Option<&PerkSlug>,
    before: Option<&CheckId>,
    most: i64,
) -> Result<Vec<OverrideRow>> {
    // Behind every id: they are made of hexadecimal digits.
    let before = before.map_or("chk_g", CheckId::as_str).to_owned();
    macro_rules! query {
        () => {
            overrides::table
                .filter(overrides::merchant_id.eq(merchant.as_str()))
                .filter(overrides::granted_check.lt(before))
                .order(overrides::granted_check.desc())
                .limit(most)
                .select(OverrideRow::as_select())
        };
    }
    Ok(match perk {
        Some(perk) => query!().filter(overrides::perk.eq(perk.as_str())).load(conn)?,
        None => query!().load(conn)?,
    })
}
