//! The rows that hold data on one person: their own, their counters, what waits for a decision about them.

use diesel::prelude::*;
use diesel::query_builder::Query;
use diesel::sql_types::{BigInt, Binary, Text};

use super::{CounterRow, ReferralRow, Result, SubjectRow, columns};
use crate::database::AnyConnection;
use crate::database::rows::in_powers_of_two;
use crate::database::schema::{limit_counters, perks, referrals, subjects};
use crate::foundation::ids::MerchantId;
use crate::{on_either, statement_of_rows};

/// Those of these people who are known, each wanted by the merchant and their reference; in no order.
pub fn list_subjects(conn: &mut AnyConnection, wanted: &[(&str, &[u8])]) -> Result<Vec<SubjectRow>> {
    match conn {
        AnyConnection::Postgres(c) => Ok(columns::FindSubjects::of(wanted).load(c)?),
        AnyConnection::Sqlite(c) => {
            let mut found = Vec::with_capacity(wanted.len());
            for wanted in in_powers_of_two(wanted) {
                found.extend(FindSubjects(wanted).load::<SubjectRow>(c)?);
            }
            Ok(found)
        }
    }
}

// From the list to the rows: the other way round all of a merchant's people would be read.
statement_of_rows! {
    FindSubjects, (&'a str, &'a [u8]),
    "WITH wanted (merchant_id, subject_ref) AS (VALUES " [0: Text, 1: Binary] ") \
     SELECT found.merchant_id, found.subject_ref, found.pseudonym, found.sealed, found.created_at \
     FROM wanted CROSS JOIN subjects AS found \
     ON found.merchant_id = wanted.merchant_id AND found.subject_ref = wanted.subject_ref"
}

impl Query for FindSubjects<'_> {
    type SqlType = (Text, Binary, Text, Binary, BigInt);
}

/// Adds those that are not there yet; `rows` are sorted. How many were added.
pub fn insert_subjects(conn: &mut AnyConnection, rows: &[SubjectRow]) -> Result<usize> {
    Ok(on_either!(conn, |c| diesel::insert_into(subjects::table).values(rows).on_conflict_do_nothing().execute(c)?))
}

/// The person of this reference, held until the transaction ends: a caller that opens something about them waits.
pub fn lock_subject(conn: &mut AnyConnection, merchant: &MerchantId, subject_ref: &[u8]) -> Result<Option<SubjectRow>> {
    macro_rules! query {
        () => {
            subjects::table.find((merchant.as_str(), subject_ref)).select(SubjectRow::as_select())
        };
    }
    Ok(match conn {
        AnyConnection::Postgres(c) => query!().for_update().first(c).optional()?,
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(c) => query!().first(c).optional()?,
    })
}

/// Which of these pseudonyms are still someone's. Until the transaction ends nobody of them can be erased, and
/// nobody else opens a case about them: of two who would, one sees the other's.
pub fn hold_subjects(conn: &mut AnyConnection, merchant: &MerchantId, pseudonyms: &[&str]) -> Result<Vec<String>> {
    macro_rules! query {
        () => {
            subjects::table
                .filter(subjects::merchant_id.eq(merchant.as_str()).and(subjects::pseudonym.eq_any(pseudonyms)))
                .order(subjects::subject_ref)
                .select(subjects::pseudonym)
        };
    }
    Ok(match conn {
        AnyConnection::Postgres(c) => query!().for_no_key_update().load(c)?,
        AnyConnection::Sqlite(c) => query!().load(c)?,
    })
}

/// Destroys what names a person; true if it was there. Of two who erase, one gets that answer; and who has come
/// back since the pseudonym was read is someone else under the same reference.
pub fn delete_subject(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject_ref: &[u8],
    pseudonym: &str,
) -> Result<bool> {
    let row = subjects::table.find((merchant.as_str(), subject_ref)).filter(subjects::pseudonym.eq(pseudonym));
    Ok(diesel::delete(row).execute(conn)? > 0)
}

/// A counter of one person, with the short name of its perk; none for one that all perks share.
pub type CounterOf = (CounterRow, Option<String>);

/// The person's counters that anything was used of, the last used first, up to `most`.
pub fn list_counters_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    pseudonym: &str,
    most: i64,
) -> Result<Vec<CounterOf>> {
    // Of a scope's parts the subject stands first (`perks::limit::Scope`).
    let of_the_person = format!("/subject/{pseudonym}%");
    Ok(on_either!(conn, |c| limit_counters::table
        .left_join(perks::table.on(perks::id.eq(limit_counters::perk_id)))
        .filter(limit_counters::merchant_id.eq(merchant.as_str()))
        .filter(limit_counters::scope_key.like(of_the_person))
        .filter(limit_counters::used.gt(0))
        .order((limit_counters::last_used_at.desc(), limit_counters::limit_id, limit_counters::window_key))
        .limit(most)
        .select((CounterRow::as_select(), perks::slug.nullable()))
        .load(c)?))
}

/// The person's referrals that nobody has decided, locked in the order of their checks.
pub fn lock_open_referrals_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    pseudonym: &str,
    open: &str,
) -> Result<Vec<ReferralRow>> {
    macro_rules! query {
        () => {
            referrals::table
                .filter(referrals::merchant_id.eq(merchant.as_str()).and(referrals::status.eq(open)))
                .filter(referrals::subject.eq(pseudonym))
                .order(referrals::check_id)
                .select(ReferralRow::as_select())
        };
    }
    Ok(match conn {
        AnyConnection::Postgres(c) => query!().for_update().load(c)?,
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(c) => query!().load(c)?,
    })
}
