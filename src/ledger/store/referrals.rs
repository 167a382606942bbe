//! Rows of checks that a person is to decide.

use diesel::dsl::{count_star, min};
use diesel::prelude::*;

use crate::database::schema::referrals;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{CheckId, MerchantId, PerkId};
use crate::on_either;

type Result<T> = std::result::Result<T, DatabaseError>;

/// A referral. The subject is a pseudonym: the row names nobody.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = referrals, treat_none_as_default_value = false)]
pub struct ReferralRow {
    pub check_id: String,
    pub merchant_id: String,
    pub perk_id: String,
    pub perk: String,
    pub rule_version: i32,
    pub subject: String,
    pub status: String,
    pub created_at: i64,
    pub decided_at: Option<i64>,
    pub decided_by: Option<String>,
    /// The check that the decision made.
    pub resolved_by: Option<String>,
    pub grant_id: Option<String>,
    /// When and by whom, where it is a refusal that was contested.
    pub contested_at: Option<i64>,
    pub contested_by: Option<String>,
}

pub fn insert_referrals(conn: &mut AnyConnection, rows: &[ReferralRow]) -> Result<usize> {
    if rows.is_empty() {
        return Ok(0);
    }
    Ok(on_either!(conn, |c| diesel::insert_into(referrals::table).values(rows).execute(c)?))
}

pub fn find_referral(conn: &mut AnyConnection, merchant: &MerchantId, check: &CheckId) -> Result<Option<ReferralRow>> {
    Ok(of(merchant, check).select(ReferralRow::as_select()).first(conn).optional()?)
}

/// [`find_referral`], held until the transaction ends, so that one person decides.
pub fn lock_referral(conn: &mut AnyConnection, merchant: &MerchantId, check: &CheckId) -> Result<Option<ReferralRow>> {
    Ok(match conn {
        AnyConnection::Postgres(c) => {
            of(merchant, check).select(ReferralRow::as_select()).for_update().first(c).optional()?
        }
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(c) => of(merchant, check).select(ReferralRow::as_select()).first(c).optional()?,
    })
}

/// The merchant's referrals after a check, oldest first; or its contests.
pub fn list_referrals(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    contested: bool,
    status: Option<&str>,
    after: Option<&CheckId>,
    limit: i64,
) -> Result<Vec<ReferralRow>> {
    macro_rules! query {
        ($($more:expr),*) => {
            referrals::table
                .filter(referrals::merchant_id.eq(merchant.as_str()))
                .filter(referrals::contested_at.is_not_null().eq(contested))
                .filter(referrals::check_id.gt(after.map(CheckId::as_str).unwrap_or_default()))
                $(.filter($more))*
                .order(referrals::check_id)
                .limit(limit)
                .select(ReferralRow::as_select())
                .load(conn)?
        };
    }
    Ok(match status {
        Some(status) => query!(referrals::status.eq(status)),
        None => query!(),
    })
}

/// Up to `most` of the merchant's referrals of this status, by the checks that they are about; or of its contests.
pub fn list_ids_of_referrals(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    contested: bool,
    status: &str,
    most: i64,
) -> Result<Vec<String>> {
    Ok(referrals::table
        .filter(referrals::merchant_id.eq(merchant.as_str()).and(referrals::status.eq(status)))
        .filter(referrals::contested_at.is_not_null().eq(contested))
        .limit(most)
        .select(referrals::check_id)
        .load(conn)?)
}

/// The number of a perk's referrals of this status, and when the first of them was made; contests are none.
pub fn count_referrals(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &PerkId,
    status: &str,
) -> Result<(i64, Option<i64>)> {
    Ok(referrals::table
        .filter(referrals::merchant_id.eq(merchant.as_str()).and(referrals::status.eq(status)))
        .filter(referrals::perk_id.eq(perk.as_str()).and(referrals::contested_at.is_null()))
        .select((count_star(), min(referrals::created_at)))
        .first(conn)?)
}

/// The grants that people made to one of these pseudonyms for the perk, the last first.
pub fn list_granted_to(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &PerkId,
    (pseudonyms, status): (&[&str], &str),
    most: i64,
) -> Result<Vec<ReferralRow>> {
    Ok(on_either!(conn, |c| referrals::table
        .filter(referrals::merchant_id.eq(merchant.as_str()).and(referrals::perk_id.eq(perk.as_str())))
        .filter(referrals::subject.eq_any(pseudonyms))
        .filter(referrals::status.eq(status))
        .order(referrals::decided_at.desc())
        .limit(most)
        .select(ReferralRow::as_select())
        .load(c)?))
}

/// Writes how it was decided; the row is locked and open.
pub fn update_referral(conn: &mut AnyConnection, merchant: &MerchantId, row: &ReferralRow) -> Result<usize> {
    Ok(diesel::update(referrals::table.find(&row.check_id).filter(referrals::merchant_id.eq(merchant.as_str())))
        .set((
            referrals::status.eq(&row.status),
            referrals::decided_at.eq(row.decided_at),
            referrals::decided_by.eq(row.decided_by.as_deref()),
            referrals::resolved_by.eq(row.resolved_by.as_deref()),
            referrals::grant_id.eq(row.grant_id.as_deref()),
        ))
        .execute(conn)?)
}

type Of<'a> =
    diesel::dsl::Filter<diesel::dsl::Find<referrals::table, &'a str>, diesel::dsl::Eq<referrals::merchant_id, &'a str>>;

fn of<'a>(merchant: &'a MerchantId, check: &'a CheckId) -> Of<'a> {
    referrals::table.find(check.as_str()).filter(referrals::merchant_id.eq(merchant.as_str()))
}
