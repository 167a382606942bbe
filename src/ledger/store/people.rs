//! The rows that hold data on one person: their own, their counters, what waits for a decision about them.

use diesel::prelude::*;

use super::{CounterRow, ReferralRow, Result, SubjectRow};
use crate::database::AnyConnection;
use crate::database::schema::{limit_counters, perks, referrals, subjects};
use crate::foundation::ids::MerchantId;
use crate::on_either;

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
