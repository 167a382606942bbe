//! The rows of merchants and keys.

use std::collections::BTreeSet;

use diesel::prelude::*;
use jiff::Timestamp;

use super::accounts::TokenHash;
use super::key::{ApiKey, KeyHash};
use super::merchant::Merchant;
use super::role::Role;
use super::{clerks, devices};
use crate::database::schema::{accounts, api_keys, clerks as clerk_rows, merchants};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{KeyId, MerchantId, MerchantSlug, PerkSlug};

/// The epoch that every change of a merchant or key moves on.
pub(super) const EPOCH: &str = "directory";

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = merchants)]
struct MerchantRow {
    id: String,
    slug: String,
    name: String,
    created_at: i64,
    time_zone: String,
    is_test: bool,
}

impl TryFrom<MerchantRow> for Merchant {
    type Error = DatabaseError;

    fn try_from(row: MerchantRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: row.id.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?,
            slug: row.slug.parse().map_err(|e| DatabaseError::corrupt("merchant slug", e))?,
            name: row.name,
            created_at: from_micros(row.created_at),
            time_zone: row.time_zone,
            is_test: row.is_test,
        })
    }
}

pub(super) fn insert_merchant(conn: &mut AnyConnection, merchant: &Merchant) -> Result<(), DatabaseError> {
    let row = MerchantRow {
        id: merchant.id.as_str().to_owned(),
        slug: merchant.slug.as_str().to_owned(),
        name: merchant.name.clone(),
        created_at: merchant.created_at.as_microsecond(),
        time_zone: merchant.time_zone.clone(),
        is_test: merchant.is_test,
    };
    diesel::insert_into(merchants::table).values(row).execute(conn)?;
    Ok(())
}

pub(super) fn find_merchant(conn: &mut AnyConnection, slug: &MerchantSlug) -> Result<Option<Merchant>, DatabaseError> {
    let row: Option<MerchantRow> = merchants::table
        .filter(merchants::slug.eq(slug.as_str()))
        .select(MerchantRow::as_select())
        .first(conn)
        .optional()?;
    row.map(Merchant::try_from).transpose()
}

/// [`find_merchant`], held until the transaction ends, so that of two changes each knows what it changes.
pub(super) fn lock_merchant(conn: &mut AnyConnection, slug: &MerchantSlug) -> Result<Option<Merchant>, DatabaseError> {
    if let AnyConnection::Postgres(c) = conn {
        let row = merchants::table.filter(merchants::slug.eq(slug.as_str())).select(merchants::id);
        let _: Option<String> = row.for_no_key_update().first(c).optional()?;
    }
    // Read after the lock: what another change committed meanwhile is seen.
    find_merchant(conn, slug)
}

pub(super) fn update_name(conn: &mut AnyConnection, merchant: &MerchantId, name: &str) -> Result<(), DatabaseError> {
    diesel::update(merchants::table.find(merchant.as_str())).set(merchants::name.eq(name)).execute(conn)?;
    Ok(())
}

pub(super) fn update_time_zone(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    time_zone: &str,
) -> Result<(), DatabaseError> {
    diesel::update(merchants::table.find(merchant.as_str())).set(merchants::time_zone.eq(time_zone)).execute(conn)?;
    Ok(())
}

/// Up to `limit` merchants in the order they were made, after the one with id `after`.
pub(super) fn list_merchants(
    conn: &mut AnyConnection,
    after: Option<&MerchantId>,
    limit: i64,
) -> Result<Vec<Merchant>, DatabaseError> {
    let rows: Vec<MerchantRow> = merchants::table
        .filter(merchants::id.gt(after.map_or("", MerchantId::as_str).to_owned()))
        .order(merchants::id)
        .limit(limit)
        .select(MerchantRow::as_select())
        .load(conn)?;
    rows.into_iter().map(Merchant::try_from).collect()
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
pub(super) struct KeyRow {
    id: String,
    merchant_id: Option<String>,
    hash: Vec<u8>,
    role: String,
    label: String,
    location: Option<String>,
    kiosk: Option<String>,
    audience: Option<String>,
    created_by: Option<String>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
    origins: Option<String>,
    airports: Option<String>,
}

impl KeyRow {
    fn of(key: &ApiKey, hash: &KeyHash) -> Self {
        Self {
            id: key.id.as_str().to_owned(),
            merchant_id: key.merchant.as_ref().map(ToString::to_string),
            hash: hash.to_vec(),
            role: key.role.as_str().to_owned(),
            label: key.label.clone(),
            location: key.location.clone(),
            kiosk: key.kiosk.clone(),
            audience: key.audience.clone(),
            created_by: key.created_by.as_ref().map(ToString::to_string),
            created_at: key.created_at.as_microsecond(),
            expires_at: key.expires_at.map(Timestamp::as_microsecond),
            revoked_at: key.revoked_at.map(Timestamp::as_microsecond),
            last_used_at: key.last_used_at.map(Timestamp::as_microsecond),
            origins: key.origins_text(),
            airports: key.airports_text(),
        }
    }
}

impl TryFrom<KeyRow> for (KeyHash, ApiKey) {
    type Error = DatabaseError;

    fn try_from(row: KeyRow) -> Result<Self, DatabaseError> {
        let hash = row.hash.try_into().map_err(|_| DatabaseError::corrupt("key hash", "not 32 bytes"))?;
        let merchant = row
            .merchant_id
            .map(|id| id.parse())
            .transpose()
            .map_err(|e| DatabaseError::corrupt("merchant id of a key", e))?;
        let created_by =
            row.created_by.map(|id| id.parse()).transpose().map_err(|e| DatabaseError::corrupt("maker of a key", e))?;
        let airports = row.airports.as_deref().unwrap_or_default().split_ascii_whitespace().map(str::to_owned);
        let origins = row.origins.as_deref().unwrap_or_default().split_ascii_whitespace().map(str::parse);
        let key = ApiKey {
            id: row.id.parse().map_err(|e| DatabaseError::corrupt("key id", e))?,
            merchant,
            role: row.role.parse().map_err(|e| DatabaseError::corrupt("role", e))?,
            label: row.label,
            location: row.location,
            kiosk: row.kiosk,
            audience: row.audience,
            airports: airports.collect(),
            origins: origins.collect::<Result<_, _>>().map_err(|e| DatabaseError::corrupt("origins of a key", e))?,
            created_by,
            created_at: from_micros(row.created_at),
            expires_at: row.expires_at.map(from_micros),
            revoked_at: row.revoked_at.map(from_micros),
            // The hour of a use may have begun before the key was made.
            last_used_at: row.last_used_at.map(|hour| from_micros(hour.max(row.created_at))),
            is_suspended: false,
        };
        Ok((hash, key))
    }
}

pub(super) fn insert_key(conn: &mut AnyConnection, key: &ApiKey, hash: &KeyHash) -> Result<(), DatabaseError> {
    diesel::insert_into(api_keys::table).values(KeyRow::of(key, hash)).execute(conn)?;
    Ok(())
}

/// The keys of one merchant, or of the operator: what both kinds of query start from.
macro_rules! keys_of {
    ($merchant:expr, |$keys:ident| $body:expr) => {
        match $merchant {
            Some(merchant) => {
                let $keys = api_keys::table.filter(api_keys::merchant_id.eq(merchant.as_str().to_owned()));
                $body
            }
            None => {
                let $keys = api_keys::table.filter(api_keys::merchant_id.is_null());
                $body
            }
        }
    };
}

pub(super) fn find_key(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    id: &KeyId,
) -> Result<Option<ApiKey>, DatabaseError> {
    let row: Option<KeyRow> = keys_of!(merchant, |keys| keys
        .filter(api_keys::id.eq(id.as_str().to_owned()))
        .select(KeyRow::as_select())
        .first(conn)
        .optional()?);
    let key = row.map(<(KeyHash, ApiKey)>::try_from).transpose()?.map(|(_, key)| key);
    Ok(with_suspension(conn, key.into_iter().collect())?.pop())
}

/// The keys, and which of them are suspended accounts'.
fn with_suspension(conn: &mut AnyConnection, mut keys: Vec<ApiKey>) -> Result<Vec<ApiKey>, DatabaseError> {
    let ids: Vec<_> = keys.iter().map(|key| key.id.as_str().to_owned()).collect();
    let suspended = accounts::table.filter(accounts::suspended_at.is_not_null()).select(accounts::key_id);
    let suspended: BTreeSet<String> = suspended.filter(accounts::key_id.eq_any(ids)).load(conn)?.into_iter().collect();
    for key in &mut keys {
        key.is_suspended = suspended.contains(key.id.as_str());
    }
    Ok(keys)
}

/// The labels of these keys of the merchant.
pub(super) fn list_labels(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    keys: &[String],
) -> Result<Vec<(String, String)>, DatabaseError> {
    Ok(api_keys::table
        .filter(api_keys::merchant_id.eq(merchant.as_str()))
        .filter(api_keys::id.eq_any(keys))
        .select((api_keys::id, api_keys::label))
        .load(conn)?)
}

/// Up to `limit` keys of the merchant (none: of the operator) in the order they were made, after
/// the one with id `after`, of one role or of all; revoked ones too.
pub(super) fn list_keys(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    role: Option<Role>,
    after: Option<&KeyId>,
    limit: i64,
) -> Result<Vec<ApiKey>, DatabaseError> {
    let after = after.map_or("", KeyId::as_str).to_owned();
    let roles: Vec<_> = role.map_or(Role::ALL.to_vec(), |role| vec![role]).into_iter().map(Role::as_str).collect();
    let rows: Vec<KeyRow> = keys_of!(merchant, |keys| keys
        .filter(api_keys::id.gt(after))
        .filter(api_keys::role.eq_any(roles))
        .order(api_keys::id)
        .limit(limit)
        .select(KeyRow::as_select())
        .load(conn)?);
    let keys = rows.into_iter().map(|row| <(KeyHash, ApiKey)>::try_from(row).map(|(_, key)| key));
    let keys = keys.collect::<Result<_, _>>()?;
    with_suspension(conn, keys)
}

/// The merchant's keys of a role that can be used at `now`: how many there are, and up to `limit` of them, those that were
/// never used first, then the least lately used.
pub(super) fn list_least_seen(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    role: Role,
    now: Timestamp,
    limit: i64,
) -> Result<(i64, Vec<ApiKey>), DatabaseError> {
    let is_alive = || api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now.as_microsecond()));
    macro_rules! active {
        () => {
            api_keys::table
                .filter(api_keys::merchant_id.eq(merchant.as_str()).and(api_keys::role.eq(role.as_str())))
                .filter(api_keys::revoked_at.is_null().and(is_alive()))
        };
    }
    let all = active!().count().get_result(conn)?;
    let rows: Vec<KeyRow> = active!()
        .order((api_keys::last_used_at.is_not_null(), api_keys::last_used_at, api_keys::id))
        .limit(limit)
        .select(KeyRow::as_select())
        .load(conn)?;
    let keys = rows.into_iter().map(|row| <(KeyHash, ApiKey)>::try_from(row).map(|(_, key)| key));
    Ok((all, keys.collect::<Result<_, _>>()?))
}

/// The keys of the merchant (none: of the operator) that `maker` made and nobody has revoked, in the order they were made.
pub(super) fn list_keys_made_by(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    maker: &KeyId,
) -> Result<Vec<ApiKey>, DatabaseError> {
    let rows: Vec<KeyRow> = keys_of!(merchant, |keys| keys
        .filter(api_keys::created_by.eq(maker.as_str().to_owned()))
        .filter(api_keys::revoked_at.is_null())
        .order(api_keys::id)
        .select(KeyRow::as_select())
        .load(conn)?);
    rows.into_iter().map(|row| <(KeyHash, ApiKey)>::try_from(row).map(|(_, key)| key)).collect()
}

/// The merchant's clerks who work, in the order they were made.
pub(super) fn list_clerks(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Vec<ApiKey>, DatabaseError> {
    let rows: Vec<KeyRow> = api_keys::table
        .inner_join(clerk_rows::table.on(clerk_rows::key_id.eq(api_keys::id)))
        .filter(api_keys::merchant_id.eq(merchant.as_str()))
        .filter(api_keys::revoked_at.is_null())
        .order(api_keys::id)
        .select(KeyRow::as_select())
        .load(conn)?;
    rows.into_iter().map(|row| <(KeyHash, ApiKey)>::try_from(row).map(|(_, key)| key)).collect()
}

/// Says that a key is revoked since `at`. False when it was already: the first instant is retained.
pub(super) fn update_revoked(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    id: &KeyId,
    at: Timestamp,
) -> Result<bool, DatabaseError> {
    let changed = keys_of!(merchant, |keys| diesel::update(
        keys.filter(api_keys::id.eq(id.as_str().to_owned())).filter(api_keys::revoked_at.is_null())
    )
    .set(api_keys::revoked_at.eq(at.as_microsecond()))
    .execute(conn)?);
    Ok(changed > 0)
}

/// Gives a key of the merchant another role.
pub(super) fn update_role(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    id: &KeyId,
    role: Role,
) -> Result<(), DatabaseError> {
    let own = api_keys::table.filter(api_keys::merchant_id.eq(merchant.as_str())).filter(api_keys::id.eq(id.as_str()));
    diesel::update(own).set(api_keys::role.eq(role.as_str())).execute(conn)?;
    Ok(())
}

/// Writes the hour in which a key was last used, unless a later one stands. This moves no epoch and is no event: it
/// decides nothing.
pub(super) fn update_last_used(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    id: &KeyId,
    at: Timestamp,
) -> Result<(), DatabaseError> {
    let at = at.as_microsecond();
    let is_earlier = api_keys::last_used_at.is_null().or(api_keys::last_used_at.lt(at));
    keys_of!(merchant, |keys| diesel::update(keys.filter(api_keys::id.eq(id.as_str().to_owned())).filter(is_earlier))
        .set(api_keys::last_used_at.eq(at))
        .execute(conn)?);
    Ok(())
}

/// Everything that the snapshot is made of.
pub(super) struct Content {
    pub merchants: Vec<Merchant>,
    pub keys: Vec<(KeyHash, ApiKey)>,
    /// The keys of accounts that are suspended.
    pub suspended: BTreeSet<String>,
    /// Those who work.
    pub clerks: Vec<(MerchantId, KeyId, i32)>,
    /// Those that were confirmed: what their browsers hold, by its hash, and which perk they are for.
    pub devices: Vec<(TokenHash, KeyId, Option<PerkSlug>)>,
}

/// Reads the whole directory. A row that can't be read is left out and said, so that one can't lock everybody out.
pub(super) fn list_everything(conn: &mut AnyConnection) -> Result<Content, DatabaseError> {
    fn readable<T>(row: Result<T, DatabaseError>) -> Option<T> {
        row.inspect_err(|error| tracing::error!(%error, "a row of the directory is left out")).ok()
    }
    let merchants: Vec<MerchantRow> = merchants::table.select(MerchantRow::as_select()).load(conn)?;
    let keys: Vec<KeyRow> = api_keys::table.select(KeyRow::as_select()).load(conn)?;
    let clerks = clerks::list_working(conn)?;
    let suspended = accounts::table.filter(accounts::suspended_at.is_not_null()).select(accounts::key_id);
    Ok(Content {
        devices: devices::list_confirmed(conn)?,
        suspended: suspended.load::<String>(conn)?.into_iter().collect(),
        merchants: merchants.into_iter().map(Merchant::try_from).filter_map(readable).collect(),
        keys: keys.into_iter().map(<(KeyHash, ApiKey)>::try_from).filter_map(readable).collect(),
        clerks: clerks
            .into_iter()
            .filter_map(|(of, key, generation)| Some((of.parse().ok()?, key.parse().ok()?, generation)))
            .collect(),
    })
}
