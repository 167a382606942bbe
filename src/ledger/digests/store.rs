//! The rows of months' secrets.

use diesel::prelude::*;
use jiff::Timestamp;

use crate::database::schema::month_secrets;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;

/// The wrapped secret of the merchant's month.
pub(super) fn find(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    month: &str,
) -> Result<Option<Vec<u8>>, DatabaseError> {
    let row = month_secrets::table
        .filter(month_secrets::merchant_id.eq(merchant.as_str()))
        .filter(month_secrets::month.eq(month))
        .select(month_secrets::wrapped);
    Ok(row.first(conn).optional()?)
}

/// Makes the secret, unless another made it first: then that one stands.
pub(super) fn insert(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    month: &str,
    wrapped: &[u8],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let row = (
        month_secrets::merchant_id.eq(merchant.as_str()),
        month_secrets::month.eq(month),
        month_secrets::wrapped.eq(wrapped),
        month_secrets::created_at.eq(now.as_microsecond()),
    );
    match conn {
        AnyConnection::Postgres(c) => {
            diesel::insert_into(month_secrets::table).values(row).on_conflict_do_nothing().execute(c)?;
        }
        AnyConnection::Sqlite(c) => {
            diesel::insert_into(month_secrets::table).values(row).on_conflict_do_nothing().execute(c)?;
        }
    }
    Ok(())
}

/// Deletes the secrets of all months before this one, of every merchant.
pub(super) fn delete_before(conn: &mut AnyConnection, month: &str) -> Result<usize, DatabaseError> {
    Ok(diesel::delete(month_secrets::table.filter(month_secrets::month.lt(month))).execute(conn)?)
}
