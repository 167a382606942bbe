//! The rows of what people ask for by the links of their answers.

use diesel::prelude::*;

use super::Result;
use crate::database::AnyConnection;
use crate::database::schema::subject_requests;
use crate::foundation::ids::{CheckId, MerchantId, SubjectRequestId};
use crate::on_either;

#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
#[diesel(table_name = subject_requests)]
pub struct RequestRow {
    pub id: String,
    pub merchant_id: String,
    /// The check by whose link it was asked for.
    pub check_id: String,
    /// The person's pseudonym.
    pub subject: String,
    pub kind: String,
    pub status: String,
    pub asked_at: i64,
    pub decided_at: Option<i64>,
    /// The key, or `cli`.
    pub decided_by: Option<String>,
    /// Erasures that are confirmed: when they are carried out.
    pub due_at: Option<i64>,
}

pub fn insert_request(conn: &mut AnyConnection, row: &RequestRow) -> Result<()> {
    on_either!(conn, |c| diesel::insert_into(subject_requests::table).values(row).execute(c)?);
    Ok(())
}

pub fn find_request(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    id: &SubjectRequestId,
) -> Result<Option<RequestRow>> {
    let whose = subject_requests::table.find(id.as_str()).filter(subject_requests::merchant_id.eq(merchant.as_str()));
    Ok(whose.select(RequestRow::as_select()).first(conn).optional()?)
}

/// The person's requests of one of these statuses.
pub fn list_requests_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &str,
    statuses: &[&str],
) -> Result<Vec<RequestRow>> {
    Ok(on_either!(conn, |c| subject_requests::table
        .filter(subject_requests::merchant_id.eq(merchant.as_str()).and(subject_requests::subject.eq(subject)))
        .filter(subject_requests::status.eq_any(statuses))
        .order(subject_requests::id)
        .select(RequestRow::as_select())
        .load(c)?))
}

/// The requests that were asked for by the link of this check.
pub fn list_requests_by(conn: &mut AnyConnection, merchant: &MerchantId, check: &CheckId) -> Result<Vec<RequestRow>> {
    Ok(subject_requests::table
        .filter(subject_requests::merchant_id.eq(merchant.as_str()).and(subject_requests::check_id.eq(check.as_str())))
        .order(subject_requests::id)
        .select(RequestRow::as_select())
        .load(conn)?)
}

/// Up to `most` of the merchant's requests behind `after`, oldest first.
pub fn list_requests(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    status: Option<&str>,
    after: Option<&SubjectRequestId>,
    most: i64,
) -> Result<Vec<RequestRow>> {
    let after = after.map_or("", SubjectRequestId::as_str).to_owned();
    macro_rules! query {
        () => {
            subject_requests::table
                .filter(subject_requests::merchant_id.eq(merchant.as_str()).and(subject_requests::id.gt(after)))
                .order(subject_requests::id)
                .limit(most)
                .select(RequestRow::as_select())
        };
    }
    Ok(match status {
        Some(status) => query!().filter(subject_requests::status.eq(status)).load(conn)?,
        None => query!().load(conn)?,
    })
}

/// Up to `most` of the merchant's requests of this status.
pub fn list_ids_of_requests(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    status: &str,
    most: i64,
) -> Result<Vec<String>> {
    Ok(subject_requests::table
        .filter(subject_requests::merchant_id.eq(merchant.as_str()).and(subject_requests::status.eq(status)))
        .limit(most)
        .select(subject_requests::id)
        .load(conn)?)
}

/// Decides a request that has one of these statuses; how many rows that were.
pub fn decide_request(conn: &mut AnyConnection, row: &RequestRow, was: &[&str]) -> Result<usize> {
    let decided = (
        subject_requests::status.eq(&row.status),
        subject_requests::decided_at.eq(row.decided_at),
        subject_requests::decided_by.eq(&row.decided_by),
        subject_requests::due_at.eq(row.due_at),
    );
    Ok(on_either!(conn, |c| diesel::update(
        subject_requests::table.find(row.id.as_str()).filter(subject_requests::status.eq_any(was))
    )
    .set(decided)
    .execute(c)?))
}

/// Gives the person's requests of this kind that have one of these statuses another one.
pub fn settle_requests_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &str,
    kind: &str,
    (was, is): (&[&str], &str),
) -> Result<()> {
    let whose = subject_requests::merchant_id.eq(merchant.as_str()).and(subject_requests::subject.eq(subject));
    let those = whose.and(subject_requests::kind.eq(kind)).and(subject_requests::status.eq_any(was));
    on_either!(conn, |c| diesel::update(subject_requests::table.filter(those))
        .set(subject_requests::status.eq(is))
        .execute(c)?);
    Ok(())
}

/// Up to `most` confirmed erasures of any merchant that are due at `now`, the first due first, behind the one of this instant
/// and id: for the gateway's own upkeep.
pub fn list_due_requests(
    conn: &mut AnyConnection,
    confirmed: &str,
    now: i64,
    after: Option<(i64, String)>,
    most: i64,
) -> Result<Vec<RequestRow>> {
    let (due_at, id) = after.unwrap_or((i64::MIN, String::new()));
    let is_behind =
        subject_requests::due_at.gt(due_at).or(subject_requests::due_at.eq(due_at).and(subject_requests::id.gt(id)));
    Ok(subject_requests::table
        .filter(subject_requests::status.eq(confirmed).and(subject_requests::due_at.le(now)).and(is_behind))
        .order((subject_requests::due_at, subject_requests::id))
        .limit(most)
        .select(RequestRow::as_select())
        .load(conn)?)
}
