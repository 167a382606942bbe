//! Models by which a source computed before, and until when each counts too.

use diesel::prelude::*;
use jiff::Timestamp;

use crate::database::schema::{model_graces, sources};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{MerchantId, SourceName};

type Result<T> = std::result::Result<T, DatabaseError>;

/// A model's hash, and until when it counts.
pub type Grace = (String, Timestamp);

/// Those of a source, over or not: the one that lasts longest first.
pub fn list(conn: &mut AnyConnection, merchant: &MerchantId, source: &SourceName) -> Result<Vec<Grace>> {
    let rows: Vec<(String, i64)> = model_graces::table
        .filter(model_graces::merchant_id.eq(merchant.as_str()).and(model_graces::source.eq(source.as_str())))
        .order((model_graces::until.desc(), model_graces::model))
        .select((model_graces::model, model_graces::until))
        .load(conn)?;
    Ok(rows.into_iter().map(|(model, until)| (model, from_micros(until))).collect())
}

/// Lets the model in use count until then, although another takes its place; if it counted for longer already, it does.
pub(in crate::scores) fn begin(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    until: Timestamp,
) -> Result<()> {
    let row = sources::table.find((merchant.as_str(), source.as_str())).select(sources::model);
    let Some(model) = row.first::<Option<String>>(conn).optional()?.flatten() else { return Ok(()) };
    end(conn, (merchant, source), &model)?;
    diesel::insert_into(model_graces::table)
        .values((
            model_graces::merchant_id.eq(merchant.as_str()),
            model_graces::source.eq(source.as_str()),
            model_graces::model.eq(model),
            model_graces::until.eq(until.as_microsecond()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Takes a model's grace away: it is the one in use.
pub(in crate::scores) fn end(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    model: &str,
) -> Result<()> {
    diesel::delete(model_graces::table.find((merchant.as_str(), source.as_str(), model))).execute(conn)?;
    Ok(())
}

/// Takes those away that are over; how many there were.
pub(in crate::scores) fn end_outlived(
    conn: &mut AnyConnection,
    (merchant, source): (&MerchantId, &SourceName),
    now: Timestamp,
) -> Result<usize> {
    let over = model_graces::table
        .filter(model_graces::merchant_id.eq(merchant.as_str()).and(model_graces::source.eq(source.as_str())))
        .filter(model_graces::until.le(now.as_microsecond()));
    Ok(diesel::delete(over).execute(conn)?)
}
