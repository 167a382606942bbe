//! The rows of closures: one a place.

use diesel::prelude::*;

use crate::database::schema::{closures, perks};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;

type Result<T> = std::result::Result<T, DatabaseError>;

/// A place that is closed.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = closures, treat_none_as_default_value = false)]
pub struct ClosureRow {
    pub id: String,
    pub merchant_id: String,
    pub perk_id: String,
    /// Empty for all of the perk.
    pub location: String,
    pub until: i64,
    /// The words for guests, as canonical JSON.
    pub message: Option<String>,
    pub made_at: i64,
    pub made_by: String,
}

/// The closures of a perk, also those whose time has come; the whole of it first.
pub(super) fn list_of_perk(conn: &mut AnyConnection, merchant: &MerchantId, perk: &str) -> Result<Vec<ClosureRow>> {
    Ok(closures::table
        .filter(closures::merchant_id.eq(merchant.as_str()).and(closures::perk_id.eq(perk)))
        .order(closures::location)
        .select(ClosureRow::as_select())
        .load(conn)?)
}

/// Those of all perks, or of perks that changed after a revision: for the catalog's snapshot.
pub(in crate::perks) fn list_changed(conn: &mut AnyConnection, since: i64) -> Result<Vec<ClosureRow>> {
    Ok(closures::table
        .inner_join(perks::table.on(perks::id.eq(closures::perk_id)))
        .filter(perks::revision.gt(since))
        .order(closures::location)
        .select(ClosureRow::as_select())
        .load(conn)?)
}

/// The number of a perk's closures, also of those whose time has come.
pub(super) fn count_of_perk(conn: &mut AnyConnection, merchant: &MerchantId, perk: &str) -> Result<usize> {
    let of_perk = closures::merchant_id.eq(merchant.as_str()).and(closures::perk_id.eq(perk));
    let count: i64 = closures::table.filter(of_perk).count().get_result(conn)?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Adds a row of the merchant.
pub(super) fn insert(conn: &mut AnyConnection, merchant: &MerchantId, row: &ClosureRow) -> Result<usize> {
    let row = ClosureRow { merchant_id: merchant.as_str().to_owned(), ..row.clone() };
    Ok(crate::on_either!(conn, |c| diesel::insert_into(closures::table).values(&row).execute(c)?))
}

pub(super) fn delete(conn: &mut AnyConnection, merchant: &MerchantId, perk: &str, location: &str) -> Result<usize> {
    let place = closures::perk_id.eq(perk).and(closures::location.eq(location));
    Ok(diesel::delete(closures::table.filter(closures::merchant_id.eq(merchant.as_str()).and(place))).execute(conn)?)
}

/// Forgets those of a perk whose time has come by `now`.
pub(super) fn delete_ended(conn: &mut AnyConnection, merchant: &MerchantId, perk: &str, now: i64) -> Result<usize> {
    let ended = closures::perk_id.eq(perk).and(closures::until.le(now));
    Ok(diesel::delete(closures::table.filter(closures::merchant_id.eq(merchant.as_str()).and(ended))).execute(conn)?)
}
