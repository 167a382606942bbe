//! The keys that rules look at.

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use jiff::Timestamp;

use super::OnSite;
use crate::database::schema::{api_keys, clerks, merchants};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;

type Result<T> = std::result::Result<T, DatabaseError>;

/// The stored columns of a key: role, label, location, kiosk and audience.
type Row = (String, String, Option<String>, Option<String>, Option<String>);

/// The merchant's kiosk, desk and door keys that work at `now`, by id.
pub(super) fn list_on_site(conn: &mut AnyConnection, merchant: &MerchantId, now: Timestamp) -> Result<Vec<OnSite>> {
    let rows: Vec<Row> = api_keys::table
        .filter(api_keys::merchant_id.eq(merchant.as_str()))
        .filter(api_keys::role.eq_any(["kiosk", "desk", "door"]))
        // Clerks act with the key of a desk, and where that is used.
        .filter(not(exists(clerks::table.filter(clerks::key_id.eq(api_keys::id)))))
        .filter(api_keys::revoked_at.is_null())
        .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now.as_microsecond())))
        .order(api_keys::id)
        .select((api_keys::role, api_keys::label, api_keys::location, api_keys::kiosk, api_keys::audience))
        .load(conn)?;
    let read = |(role, label, location, kiosk, audience): Row| OnSite {
        is_kiosk: matches!(role.as_str(), "kiosk" | "desk"),
        label,
        location,
        kiosk,
        audience,
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The labels of the merchant's kiosk and desk keys that work at `now` and name no location.
pub(super) fn list_asking_nowhere(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    now: Timestamp,
) -> Result<Vec<String>> {
    Ok(api_keys::table
        .filter(api_keys::merchant_id.eq(merchant.as_str()))
        .filter(api_keys::role.eq_any(["kiosk", "desk"]))
        .filter(api_keys::location.is_null())
        .filter(api_keys::revoked_at.is_null())
        .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now.as_microsecond())))
        .order(api_keys::id)
        .select(api_keys::label)
        .load(conn)?)
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

/// The locations that the merchant's keys name, also those that work no longer, each once.
pub(super) fn list_locations_ever(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Vec<String>> {
    Ok(api_keys::table
        .filter(api_keys::merchant_id.eq(merchant.as_str()))
        .filter(api_keys::location.is_not_null())
        .select(api_keys::location.assume_not_null())
        .distinct()
        .load(conn)?)
}

/// Every merchant's id and slug, by slug.
pub(super) fn list_merchants(conn: &mut AnyConnection) -> Result<Vec<(String, String)>> {
    Ok(merchants::table.order(merchants::slug).select((merchants::id, merchants::slug)).load(conn)?)
}
