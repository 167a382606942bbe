//! When a merchant's feeds were last heard of a network: about whomever, so that a person whom nobody noticed is not taken for
//! one of whom nothing is known. It moves on once a UTC day, and makes everyone due then, as everyone's score says it.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use jiff::Timestamp;

use super::SignalRow;
use crate::database::schema::heard_networks;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::MerchantId;
use crate::scores::computing::store::due;
use crate::scoring::observation::day_of;

/// Notes that networks were heard of, as these signals say.
pub(in crate::scores::signals) fn note(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    rows: &[SignalRow],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let mut heard: BTreeMap<&str, i64> = BTreeMap::new();
    for row in rows {
        // A sender's clock may be a little ahead.
        let seen_at = row.seen_at.min(now.as_microsecond());
        let known = heard.entry(&row.network).or_insert(seen_at);
        *known = seen_at.max(*known);
    }
    let known: Vec<(String, i64)> = heard_networks::table
        .filter(heard_networks::merchant_id.eq(merchant.as_str()))
        .select((heard_networks::network, heard_networks::heard_at))
        .load(conn)?;
    let known: BTreeMap<String, i64> = known.into_iter().collect();
    let is_later = |network: &str, at: i64| {
        known.get(network).is_none_or(|known| day_of(from_micros(*known)) < day_of(from_micros(at)))
    };
    heard.retain(|network, at| is_later(network, *at));
    for (network, at) in &heard {
        let upsert = diesel::sql_query(
            "INSERT INTO heard_networks (merchant_id, network, heard_at) VALUES ($1, $2, $3) \
             ON CONFLICT (merchant_id, network) DO UPDATE SET heard_at = excluded.heard_at \
             WHERE heard_networks.heard_at < excluded.heard_at",
        );
        let upsert = upsert.bind::<Text, _>(merchant.as_str()).bind::<Text, _>(*network).bind::<BigInt, _>(*at);
        crate::on_either!(conn, |c| upsert.execute(c)?);
    }
    if !heard.is_empty() {
        due::begin_all_due(conn, merchant, None)?;
    }
    Ok(())
}
