//! The rows of accounts, their sessions and links, and of wrong passwords.

use diesel::prelude::*;

use super::name::AccountName;
use super::token::TokenHash;
use crate::database::schema::{
    account_links, account_recovery_codes, account_sessions, accounts, api_keys, log_in_attempts,
};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{KeyId, MerchantId};
use crate::on_either;

type Result<T> = std::result::Result<T, DatabaseError>;

/// An account, its key's role and label.
#[derive(Debug, Clone, Queryable)]
pub(super) struct AccountRow {
    pub key_id: String,
    pub merchant_id: Option<String>,
    pub name: String,
    pub password_hash: Option<String>,
    pub created_at: i64,
    pub code_salt: Option<Vec<u8>>,
    pub code_step: Option<i64>,
    /// Wrong codes in a row.
    pub code_failures: i64,
    pub suspended_at: Option<i64>,
    pub subject_issuer: Option<String>,
    pub subject: Option<String>,
    pub role: String,
    pub label: String,
}

/// A session of an account.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = account_sessions)]
pub(super) struct SessionRow {
    pub token_hash: Vec<u8>,
    pub key_id: String,
    pub began_at: i64,
    pub used_at: i64,
}

/// A link that opens once.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = account_links)]
pub(super) struct LinkRow {
    pub token_hash: Vec<u8>,
    pub key_id: String,
    pub purpose: String,
    pub expires_at: i64,
}

/// A count of wrong passwords.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = log_in_attempts)]
pub(super) struct AttemptRow {
    pub counted: Vec<u8>,
    pub failures: i64,
    pub since: i64,
}

/// The accounts that are kept, suspended ones too.
macro_rules! kept {
    () => {
        accounts::table
            .inner_join(api_keys::table.on(api_keys::id.eq(accounts::key_id)))
            .filter(api_keys::revoked_at.is_null())
    };
}

/// The first account for which a condition holds.
macro_rules! first_kept {
    ($conn:expr, $condition:expr) => {
        kept!().filter($condition).select(COLUMNS).first($conn).optional()?
    };
}

#[expect(clippy::type_complexity, reason = "the columns, each by its own type")]
const COLUMNS: (
    accounts::key_id,
    accounts::merchant_id,
    accounts::name,
    accounts::password_hash,
    accounts::created_at,
    accounts::code_salt,
    accounts::code_step,
    accounts::code_failures,
    accounts::suspended_at,
    accounts::subject_issuer,
    accounts::subject,
    api_keys::role,
    api_keys::label,
) = (
    accounts::key_id,
    accounts::merchant_id,
    accounts::name,
    accounts::password_hash,
    accounts::created_at,
    accounts::code_salt,
    accounts::code_step,
    accounts::code_failures,
    accounts::suspended_at,
    accounts::subject_issuer,
    accounts::subject,
    api_keys::role,
    api_keys::label,
);

pub(super) fn insert(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    key: &KeyId,
    name: &AccountName,
    created_at: i64,
) -> Result<()> {
    let row = (
        accounts::key_id.eq(key.as_str()),
        accounts::merchant_id.eq(merchant.map(MerchantId::as_str)),
        accounts::name.eq(name.as_str()),
        accounts::created_at.eq(created_at),
    );
    diesel::insert_into(accounts::table).values(row).execute(conn)?;
    Ok(())
}

/// The accounts of the merchant (none: of the operator), by name.
pub(super) fn list(conn: &mut AnyConnection, merchant: Option<&MerchantId>) -> Result<Vec<AccountRow>> {
    Ok(match merchant {
        Some(merchant) => {
            let own = kept!().filter(accounts::merchant_id.eq(merchant.as_str().to_owned()));
            own.order(accounts::name).select(COLUMNS).load(conn)?
        }
        None => kept!().filter(accounts::merchant_id.is_null()).order(accounts::name).select(COLUMNS).load(conn)?,
    })
}

/// The account of this name, whosever it is: nothing else is known of who logs in. A suspended one is none.
pub(super) fn find_by_name(conn: &mut AnyConnection, name: &str) -> Result<Option<AccountRow>> {
    Ok(first_kept!(conn, accounts::name.eq(name).and(accounts::suspended_at.is_null())))
}

/// The account that acts under this key. A suspended one is none.
pub(super) fn find_by_key(conn: &mut AnyConnection, key: &str) -> Result<Option<AccountRow>> {
    Ok(find_kept(conn, key)?.filter(|row| row.suspended_at.is_none()))
}

/// [`find_by_key`], suspended ones too.
pub(super) fn find_kept(conn: &mut AnyConnection, key: &str) -> Result<Option<AccountRow>> {
    Ok(first_kept!(conn, accounts::key_id.eq(key)))
}

/// [`find_by_name`], suspended ones too.
pub(super) fn find_kept_by_name(conn: &mut AnyConnection, name: &str) -> Result<Option<AccountRow>> {
    Ok(first_kept!(conn, accounts::name.eq(name)))
}

/// The account, held until the transaction ends: what logs in and what resets it wait for each other.
pub(super) fn lock(conn: &mut AnyConnection, key: &str) -> Result<Option<AccountRow>> {
    Ok(lock_kept(conn, key)?.filter(|row| row.suspended_at.is_none()))
}

/// The accounts of the merchant (none: of the operator), suspended ones too, held until the transaction ends.
pub(super) fn lock_all(conn: &mut AnyConnection, merchant: Option<&MerchantId>) -> Result<Vec<AccountRow>> {
    if let AnyConnection::Postgres(c) = conn {
        let keys = accounts::table.select(accounts::key_id).order(accounts::key_id);
        // Everyone locks in one order.
        let _: Vec<String> = match merchant {
            Some(merchant) => keys.filter(accounts::merchant_id.eq(merchant.as_str())).for_update().load(c)?,
            None => keys.filter(accounts::merchant_id.is_null()).for_update().load(c)?,
        };
    }
    list(conn, merchant)
}

/// [`lock`], suspended ones too.
pub(super) fn lock_kept(conn: &mut AnyConnection, key: &str) -> Result<Option<AccountRow>> {
    if let AnyConnection::Postgres(c) = conn {
        // Those who wait here read below what was written meanwhile.
        accounts::table.find(key).select(accounts::key_id).for_update().first::<String>(c).optional()?;
    }
    find_kept(conn, key)
}

/// Says since when an account is suspended; none lets it in again.
pub(super) fn update_suspended(conn: &mut AnyConnection, key: &str, at: Option<i64>) -> Result<()> {
    diesel::update(accounts::table.find(key)).set(accounts::suspended_at.eq(at)).execute(conn)?;
    Ok(())
}

/// True if a name is taken, also where it is another merchant's.
pub(super) fn is_taken(conn: &mut AnyConnection, name: &AccountName) -> Result<bool> {
    let taken: Option<String> =
        accounts::table.filter(accounts::name.eq(name.as_str())).select(accounts::key_id).first(conn).optional()?;
    Ok(taken.is_some())
}

pub(super) fn update_password(conn: &mut AnyConnection, key: &str, hash: Option<&str>) -> Result<()> {
    diesel::update(accounts::table.find(key)).set(accounts::password_hash.eq(hash)).execute(conn)?;
    Ok(())
}

/// Deletes all that is kept of an account but its key.
pub(super) fn delete(conn: &mut AnyConnection, key: &str) -> Result<()> {
    lock_kept(conn, key)?;
    delete_sessions(conn, key)?;
    delete_links(conn, key)?;
    delete_recovery_codes(conn, key)?;
    diesel::delete(accounts::table.find(key)).execute(conn)?;
    Ok(())
}

pub(super) fn insert_session(conn: &mut AnyConnection, row: &SessionRow) -> Result<()> {
    diesel::insert_into(account_sessions::table).values(row).execute(conn)?;
    Ok(())
}

pub(super) fn find_session(conn: &mut AnyConnection, token: &TokenHash) -> Result<Option<SessionRow>> {
    Ok(account_sessions::table.find(token.as_slice()).first(conn).optional()?)
}

/// The sessions of an account, the newest first.
pub(super) fn list_sessions(conn: &mut AnyConnection, key: &str) -> Result<Vec<SessionRow>> {
    let own = account_sessions::table.filter(account_sessions::key_id.eq(key.to_owned()));
    Ok(own.order(account_sessions::began_at.desc()).limit(100).load(conn)?)
}

/// Notes the use of a session, never backwards.
pub(super) fn update_used(conn: &mut AnyConnection, token: &TokenHash, at: i64) -> Result<()> {
    let earlier = account_sessions::table.find(token.as_slice()).filter(account_sessions::used_at.lt(at));
    diesel::update(earlier).set(account_sessions::used_at.eq(at)).execute(conn)?;
    Ok(())
}

/// Ends a session: false where something else has ended it.
pub(super) fn delete_session(conn: &mut AnyConnection, token: &TokenHash) -> Result<bool> {
    Ok(diesel::delete(account_sessions::table.find(token.as_slice())).execute(conn)? > 0)
}

/// Ends the account's sessions but one.
pub(super) fn delete_other_sessions(conn: &mut AnyConnection, key: &str, own: &TokenHash) -> Result<()> {
    let others = account_sessions::table
        .filter(account_sessions::key_id.eq(key.to_owned()))
        .filter(account_sessions::token_hash.ne(own.to_vec()));
    diesel::delete(others).execute(conn)?;
    Ok(())
}

pub(super) fn delete_sessions(conn: &mut AnyConnection, key: &str) -> Result<()> {
    let own = account_sessions::table.filter(account_sessions::key_id.eq(key.to_owned()));
    diesel::delete(own).execute(conn)?;
    Ok(())
}

/// Deletes what is over: sessions that began before an instant, links that expired before another, and counts of wrong
/// passwords whose period is over.
pub(super) fn delete_ended(conn: &mut AnyConnection, began_before: i64, now: i64, counted_before: i64) -> Result<()> {
    diesel::delete(log_in_attempts::table.filter(log_in_attempts::since.le(counted_before))).execute(conn)?;
    diesel::delete(account_sessions::table.filter(account_sessions::began_at.le(began_before))).execute(conn)?;
    diesel::delete(account_links::table.filter(account_links::expires_at.le(now))).execute(conn)?;
    Ok(())
}

pub(super) fn insert_link(conn: &mut AnyConnection, row: &LinkRow) -> Result<()> {
    diesel::insert_into(account_links::table).values(row).execute(conn)?;
    Ok(())
}

pub(super) fn find_link(conn: &mut AnyConnection, token: &TokenHash) -> Result<Option<LinkRow>> {
    Ok(account_links::table.find(token.as_slice()).first(conn).optional()?)
}

/// Takes a link: true for the one who did, of any number at once.
pub(super) fn delete_link(conn: &mut AnyConnection, token: &TokenHash) -> Result<bool> {
    Ok(diesel::delete(account_links::table.find(token.as_slice())).execute(conn)? > 0)
}

pub(super) fn delete_links(conn: &mut AnyConnection, key: &str) -> Result<()> {
    diesel::delete(account_links::table.filter(account_links::key_id.eq(key.to_owned()))).execute(conn)?;
    Ok(())
}

/// The count, if there is one.
pub(super) fn find_attempts(conn: &mut AnyConnection, counted: &[u8; 32]) -> Result<Option<AttemptRow>> {
    Ok(log_in_attempts::table.find(counted.as_slice()).first(conn).optional()?)
}

/// Takes one off a count, where there is one.
pub(super) fn decrement_attempts(conn: &mut AnyConnection, counted: &[u8; 32]) -> Result<()> {
    let counted = log_in_attempts::table.find(counted.as_slice()).filter(log_in_attempts::failures.gt(0));
    diesel::update(counted).set(log_in_attempts::failures.eq(log_in_attempts::failures - 1)).execute(conn)?;
    Ok(())
}

/// Begins a count again, where there is one.
pub(super) fn clear_attempts(conn: &mut AnyConnection, counted: &[u8; 32]) -> Result<()> {
    diesel::update(log_in_attempts::table.find(counted.as_slice()))
        .set(log_in_attempts::failures.eq(0))
        .execute(conn)?;
    Ok(())
}

/// The count, held until the transaction ends; made where there is none.
pub(super) fn lock_attempts(conn: &mut AnyConnection, counted: &[u8; 32], now: i64) -> Result<AttemptRow> {
    let row = AttemptRow { counted: counted.to_vec(), failures: 0, since: now };
    on_either!(conn, |c| diesel::insert_into(log_in_attempts::table)
        .values(&row)
        .on_conflict_do_nothing()
        .execute(c)?);
    if let AnyConnection::Postgres(c) = conn {
        let row = log_in_attempts::table.find(counted.as_slice()).select(log_in_attempts::since);
        row.for_update().first::<i64>(c)?;
    }
    Ok(log_in_attempts::table.find(counted.as_slice()).first(conn)?)
}

pub(super) fn update_attempts(conn: &mut AnyConnection, row: &AttemptRow) -> Result<()> {
    diesel::update(log_in_attempts::table.find(&row.counted))
        .set((log_in_attempts::failures.eq(row.failures), log_in_attempts::since.eq(row.since)))
        .execute(conn)?;
    Ok(())
}

/// True if the key is an account's of this merchant (none: of the operator).
pub(super) fn is_account_of(conn: &mut AnyConnection, merchant: Option<&MerchantId>, key: &str) -> Result<bool> {
    let account = accounts::table.find(key).select(accounts::merchant_id);
    let of: Vec<Option<String>> = account.load(conn)?;
    Ok(of.iter().any(|of| of.as_deref() == merchant.map(MerchantId::as_str)))
}

/// Sets the second factor of an account that has none: false where it has.
pub(super) fn insert_factor(conn: &mut AnyConnection, key: &str, salt: &[u8; 16], step: i64) -> Result<bool> {
    let without = accounts::table.find(key).filter(accounts::code_salt.is_null());
    let set = (accounts::code_salt.eq(salt.to_vec()), accounts::code_step.eq(step), accounts::code_failures.eq(0));
    Ok(diesel::update(without).set(set).execute(conn)? > 0)
}

pub(super) fn delete_factor(conn: &mut AnyConnection, key: &str) -> Result<()> {
    let none =
        (accounts::code_salt.eq(None::<Vec<u8>>), accounts::code_step.eq(None::<i64>), accounts::code_failures.eq(0));
    diesel::update(accounts::table.find(key)).set(none).execute(conn)?;
    delete_recovery_codes(conn, key)
}

/// Notes how many codes in a row were wrong.
pub(super) fn update_code_failures(conn: &mut AnyConnection, key: &str, failures: i64) -> Result<()> {
    diesel::update(accounts::table.find(key)).set(accounts::code_failures.eq(failures)).execute(conn)?;
    Ok(())
}

/// Takes a code of a step: true if no code of it or of a later one was taken before.
pub(super) fn advance_step(conn: &mut AnyConnection, key: &str, step: i64) -> Result<bool> {
    let earlier = accounts::code_step.is_null().or(accounts::code_step.lt(step));
    let own = accounts::table.find(key).filter(earlier).filter(accounts::code_salt.is_not_null());
    Ok(diesel::update(own).set(accounts::code_step.eq(step)).execute(conn)? > 0)
}

pub(super) fn insert_recovery_code(conn: &mut AnyConnection, key: &str, hash: &[u8; 32]) -> Result<()> {
    let row = (account_recovery_codes::code_hash.eq(hash.to_vec()), account_recovery_codes::key_id.eq(key));
    diesel::insert_into(account_recovery_codes::table).values(row).execute(conn)?;
    Ok(())
}

/// Takes a recovery code: true for the one who did, of any number at once.
pub(super) fn delete_recovery_code(conn: &mut AnyConnection, key: &str, hash: &[u8; 32]) -> Result<bool> {
    let own = account_recovery_codes::table.find(hash.as_slice()).filter(account_recovery_codes::key_id.eq(key));
    Ok(diesel::delete(own).execute(conn)? > 0)
}

pub(super) fn count_recovery_codes(conn: &mut AnyConnection, key: &str) -> Result<i64> {
    Ok(account_recovery_codes::table.filter(account_recovery_codes::key_id.eq(key)).count().get_result(conn)?)
}

pub(super) fn delete_recovery_codes(conn: &mut AnyConnection, key: &str) -> Result<()> {
    let own = account_recovery_codes::table.filter(account_recovery_codes::key_id.eq(key.to_owned()));
    diesel::delete(own).execute(conn)?;
    Ok(())
}
