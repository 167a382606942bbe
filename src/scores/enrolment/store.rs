//! The rows of enrolment.

use std::collections::HashSet;

use diesel::prelude::*;

use super::account::Proof;
use crate::database::schema::{enrolments, linked_accounts, pulled_accounts, subjects};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::SubjectRef;

type Result<T> = std::result::Result<T, DatabaseError>;

/// A person who is scored.
#[derive(Debug, Clone, PartialEq, Eq, Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = enrolments, treat_none_as_default_value = false, treat_none_as_null = true)]
#[diesel(primary_key(merchant_id, subject_ref))]
pub(super) struct EnrolmentRow {
    pub merchant_id: String,
    pub subject_ref: Vec<u8>,
    pub pseudonym: String,
    pub enrolled_at: i64,
    pub leaderboard_at: Option<i64>,
    pub comparison_at: Option<i64>,
}

/// An account of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
#[diesel(table_name = linked_accounts, treat_none_as_default_value = false)]
pub(in crate::scores) struct AccountRow {
    pub merchant_id: String,
    pub subject_ref: Vec<u8>,
    pub account_hash: Vec<u8>,
    pub network: String,
    pub sealed: Vec<u8>,
    pub proof: String,
    pub linked_at: i64,
    pub proven_at: Option<i64>,
}

pub(super) fn find(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
) -> Result<Option<EnrolmentRow>> {
    Ok(enrolments::table
        .find((merchant.as_str(), &subject.0[..]))
        .select(EnrolmentRow::as_select())
        .first(conn)
        .optional()?)
}

/// Writes the person's row.
pub(super) fn upsert(conn: &mut AnyConnection, row: &EnrolmentRow) -> Result<()> {
    // In its place: a feed that waits for the row finds it again.
    crate::on_either!(conn, |c| diesel::insert_into(enrolments::table)
        .values(row)
        .on_conflict((enrolments::merchant_id, enrolments::subject_ref))
        .do_update()
        .set(row)
        .execute(c)?);
    Ok(())
}

/// The networks on which these people have a proven account: each person, and one network. They are held.
pub(in crate::scores) fn list_linked(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subjects: &[SubjectRef],
) -> Result<HashSet<(Vec<u8>, String)>> {
    let mut linked = HashSet::new();
    for some in subjects.chunks(500) {
        let some: Vec<&[u8]> = some.iter().map(|subject| &subject.0[..]).collect();
        let theirs = linked_accounts::table
            .filter(linked_accounts::merchant_id.eq(merchant.as_str()))
            .filter(linked_accounts::subject_ref.eq_any(some))
            // As `gather.sql` says, too.
            .filter(linked_accounts::proof.eq(Proof::Vouched.as_str()).or(linked_accounts::proven_at.is_not_null()))
            .select((linked_accounts::subject_ref, linked_accounts::network));
        linked.extend(theirs.load::<(Vec<u8>, String)>(conn)?);
    }
    Ok(linked)
}

/// Deletes the person's row; true if there was one. Feeds that write about them have finished, or write nothing more.
pub(super) fn delete(conn: &mut AnyConnection, merchant: &MerchantId, subject: &SubjectRef) -> Result<bool> {
    Ok(diesel::delete(enrolments::table.find((merchant.as_str(), &subject.0[..]))).execute(conn)? > 0)
}

/// The person's accounts, by network.
pub(in crate::scores) fn list_accounts(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
) -> Result<Vec<AccountRow>> {
    Ok(linked_accounts::table
        .filter(linked_accounts::merchant_id.eq(merchant.as_str()))
        .filter(linked_accounts::subject_ref.eq(&subject.0[..]))
        .order((linked_accounts::network, linked_accounts::account_hash))
        .select(AccountRow::as_select())
        .load(conn)?)
}

/// Puts these in the place of all accounts of the person.
pub(super) fn replace_accounts(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
    rows: &[AccountRow],
) -> Result<()> {
    delete_rows(conn, merchant, subject)?;
    crate::on_either!(conn, |c| diesel::insert_into(linked_accounts::table).values(rows).execute(c)?);
    forget_pulled(conn, merchant, subject)
}

/// Deletes the person's accounts; how many there were.
pub(super) fn delete_accounts(conn: &mut AnyConnection, merchant: &MerchantId, subject: &SubjectRef) -> Result<usize> {
    let deleted = delete_rows(conn, merchant, subject)?;
    forget_pulled(conn, merchant, subject)?;
    Ok(deleted)
}

/// Forgets what sources were asked about accounts of the person that are linked no more.
fn forget_pulled(conn: &mut AnyConnection, merchant: &MerchantId, subject: &SubjectRef) -> Result<()> {
    let linked = linked_accounts::table
        .filter(linked_accounts::merchant_id.eq(merchant.as_str()))
        .filter(linked_accounts::subject_ref.eq(&subject.0[..]))
        .select(linked_accounts::account_hash);
    let unlinked = pulled_accounts::table
        .filter(pulled_accounts::merchant_id.eq(merchant.as_str()))
        .filter(pulled_accounts::subject_ref.eq(&subject.0[..]))
        .filter(pulled_accounts::account_hash.ne_all(linked));
    diesel::delete(unlinked).execute(conn)?;
    Ok(())
}

/// Notes that an account is the person's, as its profile says; true if it was still to be proven.
pub(in crate::scores) fn set_proven(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    (subject, account_hash): (&SubjectRef, &[u8]),
    at: i64,
) -> Result<bool> {
    let row = linked_accounts::table
        .find((merchant.as_str(), &subject.0[..], account_hash))
        .filter(linked_accounts::proven_at.is_null());
    Ok(diesel::update(row).set(linked_accounts::proven_at.eq(at)).execute(conn)? > 0)
}

fn delete_rows(conn: &mut AnyConnection, merchant: &MerchantId, subject: &SubjectRef) -> Result<usize> {
    let theirs = linked_accounts::table
        .filter(linked_accounts::merchant_id.eq(merchant.as_str()))
        .filter(linked_accounts::subject_ref.eq(&subject.0[..]));
    Ok(diesel::delete(theirs).execute(conn)?)
}

/// A person who is enrolled: their reference; that of the row which holds their secret, their pseudonym, and the secret.
pub(in crate::scores) type EnrolledRow = (Vec<u8>, Vec<u8>, String, Vec<u8>);

/// Those of these people who are enrolled.
pub(in crate::scores) fn list_enrolled(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subjects: &[SubjectRef],
) -> Result<Vec<EnrolledRow>> {
    let mut found = Vec::new();
    // As many as a statement of SQLite takes without being another one each time.
    for some in subjects.chunks(500) {
        let some: Vec<&[u8]> = some.iter().map(|subject| &subject.0[..]).collect();
        found.extend(
            enrolments::table
                .inner_join(
                    subjects::table.on(subjects::merchant_id
                        .eq(enrolments::merchant_id)
                        .and(subjects::pseudonym.eq(enrolments::pseudonym))),
                )
                .filter(enrolments::merchant_id.eq(merchant.as_str()))
                .filter(enrolments::subject_ref.eq_any(some))
                .select((enrolments::subject_ref, subjects::subject_ref, subjects::pseudonym, subjects::sealed))
                .load::<EnrolledRow>(conn)?,
        );
    }
    Ok(found)
}

/// The pseudonyms of those of these people who are enrolled, held until the transaction ends: nobody of them is erased or
/// unenrolled meanwhile.
pub(in crate::scores) fn hold_enrolled(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subjects: &[SubjectRef],
) -> Result<Vec<(Vec<u8>, String)>> {
    let mut held = Vec::new();
    for some in subjects.chunks(500) {
        let some: Vec<&[u8]> = some.iter().map(|subject| &subject.0[..]).collect();
        macro_rules! query {
            () => {
                enrolments::table
                    .filter(enrolments::merchant_id.eq(merchant.as_str()))
                    .filter(enrolments::subject_ref.eq_any(some))
                    .order(enrolments::subject_ref)
                    .select((enrolments::subject_ref, enrolments::pseudonym))
            };
        }
        held.extend(match conn {
            AnyConnection::Postgres(c) => query!().for_share().load::<(Vec<u8>, String)>(c)?,
            // A writer to SQLite is alone.
            AnyConnection::Sqlite(c) => query!().load::<(Vec<u8>, String)>(c)?,
        });
    }
    Ok(held)
}
