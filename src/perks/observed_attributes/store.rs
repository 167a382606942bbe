//! The names of attributes that checks have sent.

use std::collections::BTreeSet;

use diesel::prelude::*;
use jiff::Timestamp;

use crate::database::schema::attributes_seen;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::on_either;

pub(super) fn list(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<BTreeSet<String>, DatabaseError> {
    let names: Vec<String> = attributes_seen::table
        .filter(attributes_seen::merchant_id.eq(merchant.as_str()))
        .select(attributes_seen::name)
        .load(conn)?;
    Ok(names.into_iter().collect())
}

/// Adds those that aren't there, until there are `most`. Replicas that write at once can pass it by a
/// few, which does no harm.
pub(super) fn insert(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    names: &[String],
    most: usize,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let known = list(conn, merchant)?;
    let room = most.saturating_sub(known.len());
    for name in names.iter().filter(|name| !known.contains(*name)).take(room) {
        let row = (
            attributes_seen::merchant_id.eq(merchant.as_str()),
            attributes_seen::name.eq(name),
            attributes_seen::first_seen_at.eq(now.as_microsecond()),
        );
        let insert = diesel::insert_into(attributes_seen::table).values(row);
        on_either!(conn, |c| insert.on_conflict_do_nothing().execute(c))?;
    }
    Ok(())
}
