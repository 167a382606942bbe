//! The rows of devices.

use diesel::prelude::*;

use super::code::{PairingCode, is_same};
use super::seen::Look;
use super::{Device, MOST_WRONG};
use crate::access::accounts::TokenHash;
use crate::access::key::{ApiKey, KeyHash};
use crate::access::store::KeyRow;
use crate::database::schema::{api_keys, devices};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{KeyId, MerchantId, PerkSlug};

type Result<T> = std::result::Result<T, DatabaseError>;

/// A device as it is stored.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = devices, treat_none_as_default_value = false)]
pub(super) struct DeviceRow {
    pub key_id: String,
    pub merchant_id: String,
    pub perk: Option<String>,
    pub code_half: String,
    pub code_hash: Vec<u8>,
    /// Until when the code can be typed, or, once it was, its words be confirmed.
    pub code_expires_at: i64,
    pub wrong_codes: i64,
    pub secret_hash: Option<Vec<u8>>,
    pub words: Option<String>,
    pub confirmed_at: Option<i64>,
    pub seen_at: Option<i64>,
    pub page: Option<String>,
}

impl DeviceRow {
    /// Tells whether its code can still be typed: it is no browser's yet, and neither over nor guessed at too often.
    pub(super) fn takes_codes(&self, now: i64) -> bool {
        self.secret_hash.is_none() && now < self.code_expires_at && self.wrong_codes < MOST_WRONG
    }

    /// Tells whether the browser that holds this secret has typed the code.
    pub(super) fn was_typed_by(&self, code: &[u8; 32], secret: &TokenHash) -> bool {
        is_same(&self.code_hash, code) && self.secret_hash.as_ref().is_some_and(|known| is_same(known, secret))
    }

    /// Tells whether it works, or its words can still be confirmed.
    pub(super) fn is_open(&self, now: i64) -> bool {
        self.confirmed_at.is_some() || now < self.code_expires_at
    }
}

impl TryFrom<(KeyRow, DeviceRow)> for Device {
    type Error = DatabaseError;

    fn try_from((key, row): (KeyRow, DeviceRow)) -> Result<Self> {
        let (_, key) = <(KeyHash, ApiKey)>::try_from(key)?;
        let is_guessed_at = row.secret_hash.is_none() && row.wrong_codes >= MOST_WRONG;
        Ok(Self {
            open_until: (!is_guessed_at).then(|| from_micros(row.code_expires_at)),
            key,
            perk: perk_of(row.perk)?,
            words: row.words,
            confirmed_at: row.confirmed_at.map(from_micros),
            seen_at: row.seen_at.map(from_micros),
            page: row.page,
        })
    }
}

fn perk_of(perk: Option<String>) -> Result<Option<PerkSlug>> {
    perk.map(|slug| slug.parse()).transpose().map_err(|e| DatabaseError::corrupt("perk of a device", e))
}

/// The merchant's devices whose keys work.
macro_rules! of_merchant {
    ($merchant:expr) => {
        api_keys::table
            .inner_join(devices::table.on(devices::key_id.eq(api_keys::id)))
            .filter(devices::merchant_id.eq($merchant.as_str()))
            .filter(api_keys::revoked_at.is_null())
    };
}

pub(super) fn insert(conn: &mut AnyConnection, row: &DeviceRow) -> Result<()> {
    diesel::insert_into(devices::table).values(row).execute(conn)?;
    Ok(())
}

pub(super) fn count(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<i64> {
    Ok(of_merchant!(merchant).count().get_result(conn)?)
}

/// The merchant's devices, in the order they were made.
pub(super) fn list(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Vec<Device>> {
    let rows: Vec<(KeyRow, DeviceRow)> =
        of_merchant!(merchant).order(api_keys::id).select((KeyRow::as_select(), DeviceRow::as_select())).load(conn)?;
    rows.into_iter().map(Device::try_from).collect()
}

pub(super) fn find(conn: &mut AnyConnection, merchant: &MerchantId, key: &KeyId) -> Result<Option<Device>> {
    let row: Option<(KeyRow, DeviceRow)> = of_merchant!(merchant)
        .filter(devices::key_id.eq(key.as_str()))
        .select((KeyRow::as_select(), DeviceRow::as_select()))
        .first(conn)
        .optional()?;
    row.map(Device::try_from).transpose()
}

/// The row of the merchant's device, held until the transaction ends.
pub(super) fn lock(conn: &mut AnyConnection, merchant: &MerchantId, key: &KeyId) -> Result<Option<DeviceRow>> {
    let own = || devices::table.find(key.as_str()).filter(devices::merchant_id.eq(merchant.as_str()));
    if let AnyConnection::Postgres(c) = conn {
        let _: Option<String> = own().select(devices::key_id).for_update().first(c).optional()?;
    }
    Ok(own().select(DeviceRow::as_select()).first(conn).optional()?)
}

/// The devices whose codes begin with this half, of whichever merchant: a code names none. Held until the transaction ends.
pub(super) fn lock_by_half(conn: &mut AnyConnection, code: &PairingCode) -> Result<Vec<DeviceRow>> {
    let of_half = || devices::table.filter(devices::code_half.eq(code.half().to_owned())).order(devices::key_id);
    if let AnyConnection::Postgres(c) = conn {
        let _: Vec<String> = of_half().select(devices::key_id).for_update().load(c)?;
    }
    Ok(of_half().select(DeviceRow::as_select()).load(conn)?)
}

/// One of these rows whose code has this hash.
pub(super) fn with_code(rows: &[DeviceRow], hash: &[u8; 32]) -> Option<DeviceRow> {
    rows.iter().find(|row| is_same(&row.code_hash, hash)).cloned()
}

/// Counts a wrong code at each of these.
pub(super) fn count_wrong(conn: &mut AnyConnection, rows: &[DeviceRow]) -> Result<()> {
    let keys: Vec<&str> = rows.iter().map(|row| row.key_id.as_str()).collect();
    diesel::update(devices::table.filter(devices::key_id.eq_any(keys)))
        .set(devices::wrong_codes.eq(devices::wrong_codes + 1))
        .execute(conn)?;
    Ok(())
}

/// Says which browser has typed the code, and the words that can be confirmed until then.
pub(super) fn update_typed(
    conn: &mut AnyConnection,
    key: &str,
    secret: &TokenHash,
    (words, until): (&str, i64),
) -> Result<()> {
    diesel::update(devices::table.find(key))
        .set((devices::secret_hash.eq(secret.to_vec()), devices::words.eq(words), devices::code_expires_at.eq(until)))
        .execute(conn)?;
    Ok(())
}

pub(super) fn update_confirmed(conn: &mut AnyConnection, key: &str, at: i64) -> Result<()> {
    diesel::update(devices::table.find(key)).set(devices::confirmed_at.eq(at)).execute(conn)?;
    Ok(())
}

/// Says when a device was last seen, and with which page.
pub(in crate::access) fn update_seen(conn: &mut AnyConnection, look: &Look) -> Result<()> {
    let own = devices::table.find(look.key.as_str()).filter(devices::merchant_id.eq(look.merchant.as_str()));
    let seen = (devices::seen_at.eq(look.at.as_microsecond()), devices::page.eq(&look.page));
    diesel::update(own).set(seen).execute(conn)?;
    Ok(())
}

/// The two words of the device that holds this secret and can still be confirmed.
pub(super) fn find_waiting(conn: &mut AnyConnection, secret: &TokenHash, now: i64) -> Result<Option<String>> {
    let found: Option<Option<String>> = devices::table
        .inner_join(api_keys::table.on(api_keys::id.eq(devices::key_id)))
        .filter(devices::secret_hash.eq(secret.to_vec()))
        .filter(devices::confirmed_at.is_null().and(api_keys::revoked_at.is_null()))
        .filter(devices::code_expires_at.gt(now))
        .select(devices::words)
        .first(conn)
        .optional()?;
    Ok(found.flatten())
}

/// Deletes all that is kept of the device of a key that was revoked, if it is one's.
pub(in crate::access) fn forget(conn: &mut AnyConnection, merchant: &MerchantId, key: &KeyId) -> Result<()> {
    let own = devices::table.find(key.as_str()).filter(devices::merchant_id.eq(merchant.as_str()));
    diesel::delete(own).execute(conn)?;
    Ok(())
}

/// Every device of every merchant that was confirmed.
pub(in crate::access) fn list_confirmed(conn: &mut AnyConnection) -> Result<Vec<(TokenHash, KeyId, Option<PerkSlug>)>> {
    let rows: Vec<(Option<Vec<u8>>, String, Option<String>)> = devices::table
        .filter(devices::confirmed_at.is_not_null())
        .select((devices::secret_hash, devices::key_id, devices::perk))
        .load(conn)?;
    let read = |(secret, key, perk): (Option<Vec<u8>>, String, Option<String>)| {
        Some((TokenHash::try_from(secret?).ok()?, key.parse().ok()?, perk_of(perk).ok()?))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
