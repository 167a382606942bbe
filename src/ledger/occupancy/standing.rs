//! Who is inside, as the ledger's rows have it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{AFTER_ALL, CountedPlace};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::MerchantId;
use crate::ledger::store::{self, standing as rows};

/// The most stretches of time that releases are foreseen for: a day of quarters of an hour.
const FORESEEN: usize = 96;

/// How many are inside a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The counter's time, by which uses lapse.
    pub at: Timestamp,
    pub count: u64,
    /// When places are free at the latest, by the quarter of an hour.
    pub releases: Vec<Release>,
}

/// Places that lapse by the end of a quarter of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    pub by: Timestamp,
    pub count: u64,
}

/// Who is inside at `now`, by the time of the counter as a check would meet it.
pub(crate) fn read(conn: &mut AnyConnection, place: &CountedPlace, now: Timestamp) -> Result<Inside, DatabaseError> {
    let counter = place.counter();
    let row = store::list_counters(conn, &place.merchant, &[counter])?.pop();
    let at = now.as_microsecond().max(row.map_or(0, |row| row.last_used_at));
    let slots = rows::sum_standing(conn, &place.merchant, &counter, at)?;
    let total = slots.iter().fold(0_i64, |sum, slot| sum.saturating_add(slot.cost));
    let releases = slots.iter().filter_map(|slot| {
        let count = u64::try_from(slot.cost).ok().filter(|count| *count > 0)?;
        Some(Release { by: from_micros(slot.slot.saturating_add(1).saturating_mul(rows::SLOT_MICROS)), count })
    });
    Ok(Inside {
        at: from_micros(at),
        count: u64::try_from(total).unwrap_or(0),
        releases: releases.take(FORESEEN).collect(),
    })
}

/// The uses that had not lapsed at `since`, by the grant or correction that made them, also those made since.
pub(crate) fn list_since(
    conn: &mut AnyConnection,
    place: &CountedPlace,
    since: Timestamp,
) -> Result<HashMap<String, i64>, DatabaseError> {
    let mut uses = HashMap::new();
    let mut after = (since.as_microsecond(), AFTER_ALL.to_owned());
    loop {
        let page = rows::list_standing(conn, &place.merchant, &place.counter(), (after.0, &after.1))?;
        let Some(last) = page.last() else { return Ok(uses) };
        after = (last.counts_at, last.grant_id.clone());
        let is_last = page.len() < store::PAGE_OF_USES;
        uses.extend(page.into_iter().map(|row| (row.grant_id, row.cost)));
        if is_last {
            return Ok(uses);
        }
    }
}

/// Number of events in the merchant's log.
pub(crate) fn log_size(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<i64, DatabaseError> {
    Ok(store::history::find_log_size(conn, merchant)?.map_or(0, |(_, size)| size))
}
