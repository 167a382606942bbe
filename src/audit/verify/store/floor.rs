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

/// An enrolment's row: its reference, its pseudonym, number of accounts, the list of the best, comparison.
pub(crate) type EnrolmentRow = (Vec<u8>, String, i64, bool, bool);

/// The merchant's enrolments after `last`, in the order of their references, at most [`super::PAGE`].
pub(crate) fn list_enrolments(conn: &mut AnyConnection, merchant: &str, last: &[u8]) -> Result<Vec<EnrolmentRow>> {
    use diesel::dsl::count_star;

    use crate::database::schema::{enrolments, linked_accounts};
    type Row = (Vec<u8>, String, Option<i64>, Option<i64>);
    let most = i64::try_from(super::PAGE).unwrap_or(i64::MAX);
    let rows: Vec<Row> = enrolments::table
        .filter(enrolments::merchant_id.eq(merchant).and(enrolments::subject_ref.gt(last)))
        .order(enrolments::subject_ref)
        .limit(most)
        .select((enrolments::subject_ref, enrolments::pseudonym, enrolments::leaderboard_at, enrolments::comparison_at))
        .load(conn)?;
    let end = rows.last().map(|(reference, ..)| reference.clone()).unwrap_or_default();
    let counts: Vec<(Vec<u8>, i64)> = linked_accounts::table
        .filter(linked_accounts::merchant_id.eq(merchant).and(linked_accounts::subject_ref.gt(last)))
        .filter(linked_accounts::subject_ref.le(end))
        .group_by(linked_accounts::subject_ref)
        .select((linked_accounts::subject_ref, count_star()))
        .load(conn)?;
    let counts: std::collections::HashMap<Vec<u8>, i64> = counts.into_iter().collect();
    let row = |(reference, pseudonym, leaderboard, comparison): Row| {
        let accounts = counts.get(&reference).copied().unwrap_or_default();
        (reference, pseudonym, accounts, leaderboard.is_some(), comparison.is_some())
    };
    Ok(rows.into_iter().map(row).collect())
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

/// The merchant's sources by name, each with its model.
pub(crate) fn list_source_models(conn: &mut AnyConnection, merchant: &str) -> Result<Vec<(String, Option<String>)>> {
    use crate::database::schema::sources;
    Ok(sources::table.filter(sources::merchant_id.eq(merchant)).select((sources::name, sources::model)).load(conn)?)
}

/// The models that count beside those in use: the source, the model, and until when.
pub(crate) fn list_graces(conn: &mut AnyConnection, merchant: &str) -> Result<Vec<(String, String, i64)>> {
    use crate::database::schema::model_graces::dsl as columns;
    Ok(columns::model_graces
        .filter(columns::merchant_id.eq(merchant))
        .select((columns::source, columns::model, columns::until))
        .load(conn)?)
}

/// The guards that were set: the source, the share, the points.
pub(crate) fn list_guards(conn: &mut AnyConnection, merchant: &str) -> Result<Vec<(String, i64, i64)>> {
    use crate::database::schema::source_guards::dsl as columns;
    Ok(columns::source_guards
        .filter(columns::merchant_id.eq(merchant))
        .select((columns::source, columns::share, columns::points))
        .load(conn)?)
}

/// A model that was handed in for a source.
#[derive(Queryable)]
pub(crate) struct SubmittedModelRow {
    pub source: String,
    pub hash: String,
    pub submitted_by: String,
    pub submitted_at: i64,
    pub grace_days: i64,
    pub approved_by: Option<String>,
    pub published: bool,
}

/// The models that were handed in for the merchant's sources.
pub(crate) fn list_submitted_models(conn: &mut AnyConnection, merchant: &str) -> Result<Vec<SubmittedModelRow>> {
    use crate::database::schema::source_models::dsl as columns;
    Ok(columns::source_models
        .filter(columns::merchant_id.eq(merchant))
        .order((columns::source, columns::hash))
        .select((
            columns::source,
            columns::hash,
            columns::submitted_by,
            columns::submitted_at,
            columns::grace_days,
            columns::approved_by,
            columns::published,
        ))
        .load(conn)?)
}

/// The merchant's models by their hashes, each in its canonical form.
pub(crate) fn list_models(conn: &mut AnyConnection, merchant: &str) -> Result<Vec<(String, String)>> {
    use crate::database::schema::models;
    Ok(models::table.filter(models::merchant_id.eq(merchant)).select((models::hash, models::body)).load(conn)?)
}
