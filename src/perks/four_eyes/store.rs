//! The merchants' requirement of two people, and who made which key.

use diesel::prelude::*;

use crate::database::schema::{api_keys, four_eyes};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::on_either;

type Result<T> = std::result::Result<T, DatabaseError>;

#[derive(Debug, Clone, Insertable, Queryable, Selectable, AsChangeset)]
#[diesel(table_name = four_eyes, primary_key(merchant_id))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct FourEyesRow {
    pub merchant_id: String,
    pub required: bool,
    pub changed_by: Option<String>,
    pub changed_at: i64,
    pub lift_by: Option<String>,
    pub lift_at: Option<i64>,
}

pub fn find(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Option<FourEyesRow>> {
    Ok(four_eyes::table.find(merchant.as_str()).select(FourEyesRow::as_select()).first(conn).optional()?)
}

/// [`find`], held until the transaction ends; made where there is none, so that there is something
/// to hold.
pub fn lock(conn: &mut AnyConnection, merchant: &MerchantId, now: i64) -> Result<FourEyesRow> {
    let row = FourEyesRow {
        merchant_id: merchant.as_str().to_owned(),
        required: false,
        changed_by: None,
        changed_at: now,
        lift_by: None,
        lift_at: None,
    };
    on_either!(conn, |c| diesel::insert_into(four_eyes::table).values(&row).on_conflict_do_nothing().execute(c)?);
    if let AnyConnection::Postgres(c) = conn {
        four_eyes::table.find(merchant.as_str()).select(four_eyes::merchant_id).for_update().first::<String>(c)?;
    }
    find(conn, merchant)?.ok_or(DatabaseError::NotFound)
}

pub fn update(conn: &mut AnyConnection, merchant: &MerchantId, row: &FourEyesRow) -> Result<usize> {
    Ok(diesel::update(four_eyes::table.find(merchant.as_str())).set(row).execute(conn)?)
}

/// When this key of the merchant was made.
pub fn find_made_at(conn: &mut AnyConnection, merchant: &MerchantId, key: &str) -> Result<Option<i64>> {
    Ok(api_keys::table
        .find(key)
        .filter(api_keys::merchant_id.eq(merchant.as_str()))
        .select(api_keys::created_at)
        .first(conn)
        .optional()?)
}

/// The maker of this key of the merchant: `None` for a key that the merchant doesn't have, `Some(None)`
/// for one that the command line made.
pub fn find_maker(conn: &mut AnyConnection, merchant: &MerchantId, key: &str) -> Result<Option<Option<String>>> {
    Ok(api_keys::table
        .find(key)
        .filter(api_keys::merchant_id.eq(merchant.as_str()))
        .select(api_keys::created_by)
        .first(conn)
        .optional()?)
}
