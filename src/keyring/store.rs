//! The table of wrapped keys.

use diesel::prelude::*;

use crate::database::schema::keyring_keys;
use crate::database::{AnyConnection, DatabaseError};
use crate::on_either;

/// One wrapped key. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = keyring_keys, treat_none_as_default_value = false)]
pub(super) struct KeyRow {
    pub kid: String,
    /// `token`, `log` or `hash`.
    pub purpose: String,
    /// 32 bytes, but for the hash key.
    pub public_key: Option<Vec<u8>>,
    pub wrapped: Vec<u8>,
    pub created_at: i64,
    pub signs_from: i64,
    pub retires_at: Option<i64>,
    /// When it was withdrawn.
    pub revoked_at: Option<i64>,
}

/// Keeps every other replica from making keys until this transaction ends. On SQLite a write
/// transaction is alone anyway.
pub(super) fn lock(conn: &mut AnyConnection) -> Result<(), DatabaseError> {
    if let AnyConnection::Postgres(conn) = conn {
        diesel::sql_query("LOCK TABLE keyring_keys IN EXCLUSIVE MODE").execute(conn)?;
    }
    Ok(())
}

/// All keys, in the order they take over from each other.
pub(super) fn list(conn: &mut AnyConnection) -> Result<Vec<KeyRow>, DatabaseError> {
    Ok(keyring_keys::table
        .order((keyring_keys::signs_from, keyring_keys::created_at, keyring_keys::kid))
        .select(KeyRow::as_select())
        .load(conn)?)
}

pub(super) fn insert(conn: &mut AnyConnection, row: &KeyRow) -> Result<(), DatabaseError> {
    on_either!(conn, |conn| diesel::insert_into(keyring_keys::table).values(row).execute(conn))?;
    Ok(())
}

pub(super) fn update_retires_at(
    conn: &mut AnyConnection,
    kid: &str,
    retires_at: Option<i64>,
) -> Result<(), DatabaseError> {
    diesel::update(keyring_keys::table.find(kid)).set(keyring_keys::retires_at.eq(retires_at)).execute(conn)?;
    Ok(())
}

pub(super) fn update_signs_from(conn: &mut AnyConnection, kid: &str, signs_from: i64) -> Result<(), DatabaseError> {
    diesel::update(keyring_keys::table.find(kid)).set(keyring_keys::signs_from.eq(signs_from)).execute(conn)?;
    Ok(())
}

pub(super) fn update_revoked_at(conn: &mut AnyConnection, kid: &str, revoked_at: i64) -> Result<(), DatabaseError> {
    diesel::update(keyring_keys::table.find(kid)).set(keyring_keys::revoked_at.eq(revoked_at)).execute(conn)?;
    Ok(())
}

/// Damage, as someone with access to the table could do it.
#[cfg(test)]
pub(super) fn replace(conn: &mut AnyConnection, kid: &str, row: &KeyRow) -> Result<(), DatabaseError> {
    diesel::delete(keyring_keys::table.find(kid)).execute(conn)?;
    insert(conn, row)
}
