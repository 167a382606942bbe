//! The keys that rules look at.

use diesel::prelude::*;
use jiff::Timestamp;

use super::OnSite;
use crate::database::schema::{api_keys, merchants};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;

type Result<T> = std::result::Result<T, DatabaseError>;

/// The stored columns of a key: role, label, location, kiosk and audience.
type Row = (String, String, Option<String>, Option<String>, Option<String>);

/// The merchant's kiosk and door keys that work at `now`, by id.
pub(super) fn list_on_site(conn: &mut AnyConnection, merchant: &MerchantId, now: Timestamp) -> Result<Vec<OnSite>> {
    let rows: Vec<Row> = api_keys::table
        .filter(api_keys::merchant_id.eq(merchant.as_str()))
        .filter(api_keys::role.eq_any(["kiosk", "door"]))
        .filter(api_keys::revoked_at.is_null())
        .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now.as_microsecond())))
        .order(api_keys::id)
        .select((api_keys::role, api_keys::label, api_keys::location, api_keys::kiosk, api_keys::audience))
        .load(conn)?;
    let read = |(role, label, location, kiosk, audience): Row| OnSite {
        is_kiosk: role == "kiosk",
        label,
        location,
        kiosk,
        audience,
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The locations that the merchant's keys name which work at `now`, each once.
pub(super) fn list_locations(conn: &mut AnyConnection, merchant: &MerchantId, now: Timestamp) -> Result<Vec<String>> {
    Ok(api_keys::table
        .filter(api_keys::merchant_id.eq(merchant.as_str()))
        .filter(api_keys::location.is_not_null().and(api_keys::revoked_at.is_null()))
        .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now.as_microsecond())))
        .select(api_keys::location.assume_not_null())
        .distinct()
        .load(conn)?)
}

/// Every merchant's id and slug, by slug.
pub(super) fn list_merchants(conn: &mut AnyConnection) -> Result<Vec<(String, String)>> {
    Ok(merchants::table.order(merchants::slug).select((merchants::id, merchants::slug)).load(conn)?)
}
