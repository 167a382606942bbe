//! Accounts, clerks and devices, as far as events recompute them: whether they are kept from logging in, how often their
//! PIN was set, and what the browser holds that was confirmed.

use std::collections::BTreeMap;

use diesel::prelude::*;

use crate::database::schema::{accounts, clerks, devices};
use crate::database::{AnyConnection, DatabaseError};

/// The accounts that act under these keys, and whether each is suspended.
pub(crate) fn list_suspensions<'a>(
    conn: &mut AnyConnection,
    keys: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, bool>, DatabaseError> {
    let keys: Vec<&str> = keys.collect();
    let rows: Vec<(String, Option<i64>)> = accounts::table
        .filter(accounts::key_id.eq_any(keys))
        .select((accounts::key_id, accounts::suspended_at))
        .load(conn)?;
    Ok(rows.into_iter().map(|(key, at)| (key, at.is_some())).collect())
}

/// The accounts that act under these keys, and the issuer and subject that each is linked to.
pub(crate) fn list_linked<'a>(
    conn: &mut AnyConnection,
    keys: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, Option<(String, String)>>, DatabaseError> {
    let keys: Vec<&str> = keys.collect();
    let rows: Vec<(String, Option<String>, Option<String>)> = accounts::table
        .filter(accounts::key_id.eq_any(keys))
        .select((accounts::key_id, accounts::subject_issuer, accounts::subject))
        .load(conn)?;
    Ok(rows.into_iter().map(|(key, issuer, subject)| (key, issuer.zip(subject))).collect())
}

/// The clerks who act under these keys, and how often the PIN of each was set again.
pub(crate) fn list_pins<'a>(
    conn: &mut AnyConnection,
    keys: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, i32>, DatabaseError> {
    let keys: Vec<&str> = keys.collect();
    let rows: Vec<(String, i32)> = clerks::table
        .filter(clerks::key_id.eq_any(keys))
        .select((clerks::key_id, clerks::pin_generation))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// A device that was confirmed.
pub(crate) struct ConfirmedDevice {
    pub perk: Option<String>,
    pub secret_hash: Option<Vec<u8>>,
    pub confirmed_at: i64,
}

/// The id of a device's key, its perk, the hash of its secret, and when it was confirmed.
type DeviceRow = (String, Option<String>, Option<Vec<u8>>, Option<i64>);

/// The devices that act under these keys and were confirmed.
pub(crate) fn list_devices<'a>(
    conn: &mut AnyConnection,
    keys: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, ConfirmedDevice>, DatabaseError> {
    let keys: Vec<&str> = keys.collect();
    let rows: Vec<DeviceRow> = devices::table
        .filter(devices::key_id.eq_any(keys))
        .select((devices::key_id, devices::perk, devices::secret_hash, devices::confirmed_at))
        .load(conn)?;
    let confirmed = rows.into_iter().filter_map(|(key, perk, secret_hash, at)| {
        Some((key, ConfirmedDevice { perk, secret_hash, confirmed_at: at? }))
    });
    Ok(confirmed.collect())
}
