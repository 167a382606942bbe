//! The rows of models that were handed in.

use diesel::prelude::*;

use crate::database::schema::source_models;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{MerchantId, SourceName};

type Result<T> = std::result::Result<T, DatabaseError>;

/// A model that was handed in for a source.
#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
#[diesel(table_name = source_models, treat_none_as_default_value = false)]
pub(super) struct SubmissionRow {
    pub merchant_id: String,
    pub source: String,
    pub hash: String,
    pub submitted_by: String,
    pub submitted_at: i64,
    pub grace_days: i64,
    pub approved_by: Option<String>,
    /// The source has computed by it.
    pub published: bool,
}

/// Adds it, or puts it in the place of the one that is there.
pub(super) fn replace(conn: &mut AnyConnection, row: &SubmissionRow) -> Result<()> {
    diesel::delete(source_models::table.find((&row.merchant_id, &row.source, &row.hash))).execute(conn)?;
    crate::on_either!(conn, |c| diesel::insert_into(source_models::table).values(row).execute(c)?);
    Ok(())
}

pub(super) fn find(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    hash: &str,
) -> Result<Option<SubmissionRow>> {
    let row = source_models::table.find((merchant.as_str(), source.as_str(), hash)).select(SubmissionRow::as_select());
    Ok(row.first(conn).optional()?)
}

/// It, held until the transaction ends: two who approve it do so one after the other.
pub(super) fn lock(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    hash: &str,
) -> Result<Option<SubmissionRow>> {
    macro_rules! query {
        () => {
            source_models::table.find((merchant.as_str(), source.as_str(), hash)).select(SubmissionRow::as_select())
        };
    }
    Ok(match conn {
        AnyConnection::Postgres(c) => query!().for_update().first(c).optional()?,
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(c) => query!().first(c).optional()?,
    })
}

pub(super) fn approve(conn: &mut AnyConnection, row: &SubmissionRow) -> Result<()> {
    diesel::update(source_models::table.find((&row.merchant_id, &row.source, &row.hash)))
        .set(source_models::approved_by.eq(row.approved_by.as_deref()))
        .execute(conn)?;
    Ok(())
}

pub(super) fn note_published(conn: &mut AnyConnection, row: &SubmissionRow) -> Result<()> {
    diesel::update(source_models::table.find((&row.merchant_id, &row.source, &row.hash)))
        .set((source_models::published.eq(true), source_models::grace_days.eq(row.grace_days)))
        .execute(conn)?;
    Ok(())
}

/// Those of a source, the last first.
pub(super) fn list(conn: &mut AnyConnection, merchant: &MerchantId, source: &SourceName) -> Result<Vec<SubmissionRow>> {
    Ok(source_models::table
        .filter(source_models::merchant_id.eq(merchant.as_str()).and(source_models::source.eq(source.as_str())))
        .order((source_models::submitted_at.desc(), source_models::hash))
        .select(SubmissionRow::as_select())
        .load(conn)?)
}
