//! Rows of open cases about one person and perk, and of refusals that were added to a case.

use diesel::prelude::*;

use super::{ReferralRow, Result};
use crate::database::AnyConnection;
use crate::database::schema::{contest_additions, referrals};
use crate::foundation::ids::{CheckId, MerchantId};
use crate::on_either;

/// A contested refusal that belongs to the case of another check. The row names nobody.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = contest_additions)]
pub struct AdditionRow {
    pub check_id: String,
    pub merchant_id: String,
    /// The check whose case it is.
    pub case_id: String,
    /// When it was refused.
    pub asked_at: i64,
    pub added_at: i64,
    pub added_by: String,
}

/// An open referral: who it is about, the perk's id, and the check that it goes by.
pub type OpenReferral = (String, String, String);

/// Adds one.
///
/// # Errors
/// [`DatabaseError::Duplicate`](crate::database::DatabaseError::Duplicate) when the check belongs to a case already.
pub fn insert_addition(conn: &mut AnyConnection, row: &AdditionRow) -> Result<usize> {
    Ok(on_either!(conn, |c| diesel::insert_into(contest_additions::table).values(row).execute(c)?))
}

/// The addition that a check was contested by, if it was added to another's case.
pub fn find_addition(conn: &mut AnyConnection, merchant: &MerchantId, check: &CheckId) -> Result<Option<AdditionRow>> {
    Ok(contest_additions::table
        .find(check.as_str())
        .filter(contest_additions::merchant_id.eq(merchant.as_str()))
        .select(AdditionRow::as_select())
        .first(conn)
        .optional()?)
}

/// The refusals that were added to these cases, in the order in which they were.
pub fn list_additions(conn: &mut AnyConnection, merchant: &MerchantId, cases: &[&str]) -> Result<Vec<AdditionRow>> {
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    Ok(on_either!(conn, |c| contest_additions::table
        .filter(contest_additions::merchant_id.eq(merchant.as_str()))
        .filter(contest_additions::case_id.eq_any(cases))
        .order((contest_additions::added_at, contest_additions::check_id))
        .select(AdditionRow::as_select())
        .load(c)?))
}

/// The open contest about this person and perk, the oldest where an earlier build opened several; held until the
/// transaction ends, so that it is not decided meanwhile.
pub fn lock_open_contest(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &str,
    perk_id: &str,
    open: &str,
) -> Result<Option<ReferralRow>> {
    macro_rules! query {
        () => {
            referrals::table
                .filter(referrals::merchant_id.eq(merchant.as_str()).and(referrals::subject.eq(subject)))
                .filter(referrals::perk_id.eq(perk_id).and(referrals::status.eq(open)))
                .filter(referrals::contested_at.is_not_null())
                .order(referrals::check_id)
                .select(ReferralRow::as_select())
        };
    }
    // Not limited to one: of those that are decided while this waits, another may be left.
    let rows: Vec<ReferralRow> = match conn {
        AnyConnection::Postgres(c) => query!().for_update().load(c)?,
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(c) => query!().load(c)?,
    };
    Ok(rows.into_iter().next())
}

/// The open referrals about these people, oldest first, not to be decided until the transaction ends; others may
/// hold them so too.
pub fn share_open_referrals(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subjects: &[&str],
    open: &str,
) -> Result<Vec<OpenReferral>> {
    macro_rules! query {
        () => {
            referrals::table
                .filter(referrals::merchant_id.eq(merchant.as_str()).and(referrals::subject.eq_any(subjects)))
                .filter(referrals::status.eq(open).and(referrals::contested_at.is_null()))
                .order(referrals::check_id)
                .select((referrals::subject, referrals::perk_id, referrals::check_id))
        };
    }
    Ok(match conn {
        AnyConnection::Postgres(c) => query!().for_share().load(c)?,
        AnyConnection::Sqlite(c) => query!().load(c)?,
    })
}
