//! The rows of clerks and of wrong PINs.

use diesel::prelude::*;

use super::pin::{PinHash, PinSalt};
use crate::database::schema::{api_keys, clerks, pin_guesses};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{KeyId, MerchantId};
use crate::on_either;

/// The name of the counts of a day, which a try locks last of those of a key.
pub(super) const DAY: &str = "day";

type Result<T> = std::result::Result<T, DatabaseError>;

/// A clerk's PIN as it is stored.
pub(super) struct StoredPin {
    /// How often it was set before.
    pub generation: i32,
    pub salt: PinSalt,
    pub hash: PinHash,
}

/// A count of wrong PINs of one clerk, or at one key.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = pin_guesses, primary_key(key_id, counted))]
pub(super) struct GuessRow {
    pub key_id: String,
    /// The desk of a clerk's row, or the period.
    pub counted: String,
    pub merchant_id: String,
    pub failures: i64,
    pub since: i64,
    pub locked_until: i64,
}

pub(super) fn insert(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    key: &KeyId,
    salt: PinSalt,
    hash: PinHash,
) -> Result<()> {
    let row = (
        clerks::key_id.eq(key.as_str()),
        clerks::merchant_id.eq(merchant.as_str()),
        clerks::salt.eq(salt.0.to_vec()),
        clerks::pin_hash.eq(hash.0.to_vec()),
    );
    diesel::insert_into(clerks::table).values(row).execute(conn)?;
    Ok(())
}

/// The PIN of a clerk of the merchant whose key works; of one who was removed none is kept.
pub(super) fn find(conn: &mut AnyConnection, merchant: &MerchantId, key: &KeyId) -> Result<Option<StoredPin>> {
    let found: Option<(i32, Vec<u8>, Vec<u8>)> = clerks::table
        .inner_join(api_keys::table.on(api_keys::id.eq(clerks::key_id)))
        .filter(clerks::merchant_id.eq(merchant.as_str()))
        .filter(clerks::key_id.eq(key.as_str()))
        .filter(api_keys::revoked_at.is_null())
        .select((clerks::pin_generation, clerks::salt, clerks::pin_hash))
        .first(conn)
        .optional()?;
    let corrupt = || DatabaseError::corrupt("PIN of a clerk", "of another length");
    found
        .map(|(generation, salt, hash)| {
            let salt = PinSalt(salt.try_into().map_err(|_| corrupt())?);
            Ok(StoredPin { generation, salt, hash: PinHash(hash.try_into().map_err(|_| corrupt())?) })
        })
        .transpose()
}

/// Puts another PIN in the place of a clerk's.
pub(super) fn update_pin(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    key: &KeyId,
    (salt, hash): (PinSalt, PinHash),
) -> Result<()> {
    let whose = clerks::table.filter(clerks::merchant_id.eq(merchant.as_str())).filter(clerks::key_id.eq(key.as_str()));
    let pin = (
        clerks::salt.eq(salt.0.to_vec()),
        clerks::pin_hash.eq(hash.0.to_vec()),
        clerks::pin_generation.eq(clerks::pin_generation + 1),
    );
    diesel::update(whose).set(pin).execute(conn)?;
    Ok(())
}

/// Deletes what is stored of a PIN, and how often it was wrong.
pub(in crate::access) fn forget_pin(conn: &mut AnyConnection, merchant: &MerchantId, key: &KeyId) -> Result<()> {
    let whose = clerks::table.filter(clerks::merchant_id.eq(merchant.as_str()));
    diesel::delete(whose.filter(clerks::key_id.eq(key.as_str()))).execute(conn)?;
    forget_guesses(conn, merchant, key)
}

/// Deletes how often the PIN of a clerk was wrong, at whichever desk. In the order in which a try locks the rows, so that
/// neither of the two holds what the other waits for: the second statement takes no row of a desk that was made since the first.
pub(super) fn forget_guesses(conn: &mut AnyConnection, merchant: &MerchantId, key: &KeyId) -> Result<()> {
    let of_key = || {
        let whose = pin_guesses::table.filter(pin_guesses::merchant_id.eq(merchant.as_str()));
        whose.filter(pin_guesses::key_id.eq(key.as_str()))
    };
    diesel::delete(of_key().filter(pin_guesses::counted.ne(DAY))).execute(conn)?;
    diesel::delete(of_key().filter(pin_guesses::counted.eq(DAY))).execute(conn)?;
    Ok(())
}

/// Number of the merchant's clerks who work.
pub(super) fn count_working(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<usize> {
    let whose = clerks::table.filter(clerks::merchant_id.eq(merchant.as_str()));
    let keys = whose.inner_join(api_keys::table.on(api_keys::id.eq(clerks::key_id)));
    let count: i64 = keys.filter(api_keys::revoked_at.is_null()).count().get_result(conn)?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Every clerk of every merchant who works: the merchant's and the key's id, and how often the PIN was set.
pub(in crate::access) fn list_working(conn: &mut AnyConnection) -> Result<Vec<(String, String, i32)>> {
    Ok(clerks::table
        .inner_join(api_keys::table.on(api_keys::id.eq(clerks::key_id)))
        .filter(api_keys::revoked_at.is_null())
        .select((clerks::merchant_id, clerks::key_id, clerks::pin_generation))
        .load(conn)?)
}

/// The count of this clerk or key, held until the transaction ends; made where there is none. In one statement: between
/// two of them an unlock could delete the row.
pub(super) fn lock_guesses(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    key: &KeyId,
    counted: &str,
    now: i64,
) -> Result<GuessRow> {
    use diesel::query_dsl::methods::FilterDsl as _;
    let (key_id, merchant_id) = (key.as_str().to_owned(), merchant.as_str().to_owned());
    let row = GuessRow { key_id, counted: counted.to_owned(), merchant_id, failures: 0, since: now, locked_until: 0 };
    on_either!(conn, |c| Ok(diesel::insert_into(pin_guesses::table)
        .values(&row)
        .on_conflict((pin_guesses::key_id, pin_guesses::counted))
        .do_update()
        // Changes nothing and holds the row.
        .set(pin_guesses::failures.eq(pin_guesses::failures))
        .filter(pin_guesses::merchant_id.eq(merchant.as_str()))
        .returning(GuessRow::as_returning())
        .get_result(c)?))
}

pub(super) fn update_guesses(conn: &mut AnyConnection, row: &GuessRow) -> Result<()> {
    diesel::update(pin_guesses::table.find((&row.key_id, &row.counted))).set(row).execute(conn)?;
    Ok(())
}
