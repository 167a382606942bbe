//! Rows of grants that are looked for by their merchant, that are corrected, and that end.

use diesel::prelude::*;

use super::{EventRow, GrantRow, Result};
use crate::database::AnyConnection;
use crate::database::schema::{events, grants, logs};
use crate::foundation::ids::MerchantId;
use crate::on_either;

/// The merchant's grants that were not taken back, granted at or after `from` and before `to`, in the
/// order in which they were granted; behind `after`, which is an instant and a grant.
pub fn list_unvoided_grants(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    [from, to]: [Option<i64>; 2],
    after: Option<(i64, &str)>,
    limit: i64,
) -> Result<Vec<GrantRow>> {
    let (at, id) = after.unwrap_or((i64::MIN, ""));
    let (from, to) = (from.unwrap_or(i64::MIN).max(at), to.unwrap_or(i64::MAX));
    Ok(grants::table
        .filter(grants::merchant_id.eq(merchant.as_str()))
        // A range of the index; what stands at its very beginning is distinguished by the id.
        .filter(grants::granted_at.ge(from).and(grants::granted_at.lt(to)))
        .filter(grants::granted_at.gt(at).or(grants::id.gt(id)))
        .filter(grants::voided_at.is_null())
        .order((grants::granted_at, grants::id))
        .limit(limit)
        .select(GrantRow::as_select())
        .load(conn)?)
}

/// The events of this kind about each of `about`, in the merchant's log.
pub fn list_events_about(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    about: &[&str],
    kind: &str,
) -> Result<Vec<EventRow>> {
    Ok(on_either!(conn, |c| events::table
        .inner_join(logs::table.on(logs::id.eq(events::log_id)))
        .filter(logs::merchant_id.eq(merchant.as_str()).and(events::about.eq_any(about)).and(events::kind.eq(kind)))
        .select(EventRow::as_select())
        .load(c)?))
}

/// The bodies of the events of this kind about a thing of the merchant that hold this text.
pub fn list_bodies_saying(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    about: &str,
    kind: &str,
    said: &str,
) -> Result<Vec<String>> {
    let said = format!("%{said}%");
    Ok(on_either!(conn, |c| events::table
        .inner_join(logs::table.on(logs::id.eq(events::log_id)))
        .filter(logs::merchant_id.eq(merchant.as_str()).and(events::about.eq(about)).and(events::kind.eq(kind)))
        .filter(events::body.like(said))
        .select(events::body.assume_not_null())
        .load(c)?))
}

/// Says that the guest of a grant that is locked has left.
pub fn release_grant(conn: &mut AnyConnection, merchant: &MerchantId, grant: &str, at: i64) -> Result<usize> {
    Ok(diesel::update(grants::table.find(grant).filter(grants::merchant_id.eq(merchant.as_str())))
        .set(grants::released_at.eq(at))
        .execute(conn)?)
}

/// Says who came by a grant that is locked.
pub fn correct_grant(conn: &mut AnyConnection, merchant: &MerchantId, grant: &str, corrected: &str) -> Result<usize> {
    Ok(diesel::update(grants::table.find(grant).filter(grants::merchant_id.eq(merchant.as_str())))
        .set(grants::corrected.eq(corrected))
        .execute(conn)?)
}

/// Says when what a grant that is locked used of limits is to be free; none once it is, or never will be.
pub fn free_grant_at(conn: &mut AnyConnection, merchant: &MerchantId, grant: &str, at: Option<i64>) -> Result<usize> {
    Ok(diesel::update(grants::table.find(grant).filter(grants::merchant_id.eq(merchant.as_str())))
        .set(grants::frees_at.eq(at))
        .execute(conn)?)
}

/// Some of the grants whose uses are to be free by `now`, by that instant and their ids, behind `after`: both, and the
/// merchant. Of all merchants: the upkeep serves each.
pub fn list_due_grants(
    conn: &mut AnyConnection,
    now: i64,
    after: Option<(i64, &str)>,
    limit: i64,
) -> Result<Vec<(i64, String, String)>> {
    let (at, id) = after.unwrap_or((i64::MIN, ""));
    Ok(grants::table
        .filter(grants::frees_at.le(now).and(grants::frees_at.ge(at)))
        .filter(grants::frees_at.gt(at).or(grants::id.gt(id)))
        .order((grants::frees_at, grants::id))
        .limit(limit)
        .select((grants::frees_at.assume_not_null(), grants::id, grants::merchant_id))
        .load(conn)?)
}

/// Says that grants that are locked were taken back.
pub fn void_grants(conn: &mut AnyConnection, merchant: &MerchantId, ids: &[&str], at: i64) -> Result<usize> {
    if ids.is_empty() {
        return Ok(0);
    }
    let mine = grants::merchant_id.eq(merchant.as_str());
    Ok(on_either!(conn, |c| diesel::update(grants::table.filter(mine.and(grants::id.eq_any(ids))))
        .set(grants::voided_at.eq(at))
        .execute(c)?))
}
