//! The rows of what a lounge's floor does: undone grants that wait, and places that are closed.

use diesel::prelude::*;

use super::Result;
use crate::database::AnyConnection;
use crate::database::schema::{grants, overrides, subject_requests};
use crate::ledger::store::overrides::OverrideRow;
use crate::ledger::store::requests::RequestRow;

/// The merchant's undone grants that wait for what they used to be free: when their tokens expire, and until when.
pub(crate) fn list_waiting_grants(conn: &mut AnyConnection, merchant: &str) -> Result<Vec<(String, i64, i64)>> {
    Ok(grants::table
        .filter(grants::merchant_id.eq(merchant).and(grants::frees_at.is_not_null()))
        .select((grants::id, grants::expires_at, grants::frees_at.assume_not_null()))
        .load(conn)?)
}

/// The merchant's overrides after a refused check.
pub(crate) fn list_overrides(conn: &mut AnyConnection, merchant: &str, after: &str) -> Result<Vec<OverrideRow>> {
    Ok(overrides::table
        .filter(overrides::merchant_id.eq(merchant).and(overrides::check_id.gt(after)))
        .order(overrides::check_id)
        .limit(super::LIMIT)
        .select(OverrideRow::as_select())
        .load(conn)?)
}

/// The merchant's requests of people after one of them.
pub(crate) fn list_requests(conn: &mut AnyConnection, merchant: &str, after: &str) -> Result<Vec<RequestRow>> {
    Ok(subject_requests::table
        .filter(subject_requests::merchant_id.eq(merchant).and(subject_requests::id.gt(after)))
        .order(subject_requests::id)
        .limit(super::LIMIT)
        .select(RequestRow::as_select())
        .load(conn)?)
}

/// A closure's row: its id, its perk, its place, until when, its words, and who made it when.
pub(crate) type ClosureRow = (String, String, String, i64, Option<String>, i64, String);

/// The merchant's closures.
pub(crate) fn list_closures(conn: &mut AnyConnection, merchant: &str) -> Result<Vec<ClosureRow>> {
    use crate::database::schema::closures::dsl as columns;
    Ok(columns::closures
        .filter(columns::merchant_id.eq(merchant))
        .select((
            columns::id,
            columns::perk_id,
            columns::location,
            columns::until,
            columns::message,
            columns::made_at,
            columns::made_by,
        ))
        .load(conn)?)
}
