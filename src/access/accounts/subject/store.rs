//! The subjects that accounts are linked to, and the log-ins by a provider that were taken.

use diesel::prelude::*;

use super::Subject;
use crate::access::accounts::store::{AccountRow, find_by_key};
use crate::database::schema::{accounts, taken_log_ins};
use crate::database::{AnyConnection, DatabaseError};
use crate::on_either;

type Result<T> = std::result::Result<T, DatabaseError>;

/// The account whose person is this subject of a provider. A suspended one is none.
pub(super) fn find_by_subject(conn: &mut AnyConnection, subject: &Subject) -> Result<Option<AccountRow>> {
    let own = accounts::subject_issuer.eq(subject.issuer()).and(accounts::subject.eq(subject.name()));
    let key: Option<String> = accounts::table.filter(own).select(accounts::key_id).first(conn).optional()?;
    key.map_or(Ok(None), |key| find_by_key(conn, &key))
}

/// Links an account to a subject of a provider; none takes the link away.
pub(super) fn update_subject(conn: &mut AnyConnection, key: &str, subject: Option<&Subject>) -> Result<()> {
    let (issuer, name) = subject.map(|it| (it.issuer(), it.name())).unzip();
    let set = (accounts::subject_issuer.eq(issuer), accounts::subject.eq(name));
    diesel::update(accounts::table.find(key)).set(set).execute(conn)?;
    Ok(())
}

/// Takes a log-in by a provider: true for the one who did, of any number at once.
pub(super) fn take_log_in(conn: &mut AnyConnection, log_in: &[u8; 32], until: i64) -> Result<bool> {
    let row = (taken_log_ins::log_in_hash.eq(log_in.to_vec()), taken_log_ins::until.eq(until));
    let taken = on_either!(conn, |c| diesel::insert_into(taken_log_ins::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c)?);
    Ok(taken > 0)
}

/// Forgets the log-ins that are over anyway.
pub(super) fn delete_taken(conn: &mut AnyConnection, now: i64) -> Result<()> {
    diesel::delete(taken_log_ins::table.filter(taken_log_ins::until.le(now))).execute(conn)?;
    Ok(())
}
