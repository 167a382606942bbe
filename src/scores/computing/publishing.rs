//! Another model for a computed source, written in the transaction of those who decide it.

use jiff::Timestamp;

use super::store;
use super::store::due::begin_all_due;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{MerchantId, SourceName};
use crate::scores::held;
use crate::scores::store::graces;
use crate::scoring::model::Model;

/// The model by which a source computes from now on.
#[derive(Debug, Clone, Copy)]
pub struct NewModel<'a> {
    pub hash: &'a str,
    /// Until when the one before counts too.
    pub grace_until: Option<Timestamp>,
}

/// Keeps a model of the merchant under its hash.
///
/// # Errors
/// The database's.
pub fn insert_model(conn: &mut AnyConnection, merchant: &MerchantId, model: &Model) -> Result<(), DatabaseError> {
    store::insert_model(conn, merchant, model)
}

/// A model of the merchant.
///
/// # Errors
/// The database's.
pub fn find_model(conn: &mut AnyConnection, merchant: &MerchantId, hash: &str) -> Result<Option<Model>, DatabaseError> {
    store::find_model(conn, merchant, hash)
}

/// The number of models that count beside the one in use at `now`.
///
/// # Errors
/// The database's.
pub fn count_graces(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    now: Timestamp,
) -> Result<usize, DatabaseError> {
    Ok(graces::list(conn, merchant, source)?.into_iter().filter(|(_, until)| *until > now).count())
}

/// The source computes by another model from now on: everyone who is enrolled is due.
///
/// # Errors
/// The database's.
pub fn set_model(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    new: NewModel<'_>,
) -> Result<(), DatabaseError> {
    store::set_model(conn, (merchant, source), new.hash, new.grace_until)?;
    // A run that waits was judged by the model before.
    held::store::drop_runs(conn, (merchant, source))?;
    begin_all_due(conn, merchant, Some(source))?;
    Ok(())
}
