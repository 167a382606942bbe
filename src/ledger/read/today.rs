//! The numbers of a day, for many perks in a few statements: decisions as the log's end has them, and counters as they
//! stand.

use std::collections::HashMap;

use jiff::Timestamp;

use super::history::stretch;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::ledger::events::excerpt::Excerpt;
use crate::ledger::occupancy::{self, CountedPlace};
use crate::ledger::store::history as rows;
use crate::ledger::store::list_counters;
use crate::ledger::write::check;

/// Number of indices of a log that one reading spans.
const PAGE: i64 = 2_000;

/// A decision as the log has it, with nobody named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The perk's id.
    pub perk: String,
    pub at: Timestamp,
    /// `granted`, `denied` or `referred`.
    pub decision: String,
    /// The code of its first reason.
    pub reason: Option<String>,
}

/// A page of decisions.
#[derive(Debug, Default)]
pub struct DecisionPage {
    pub decisions: Vec<Decision>,
    /// Where the next page begins.
    pub next: i64,
    /// It ends where the log did.
    pub is_last: bool,
}

/// The place in the merchant's log behind which all events since an instant are.
///
/// # Errors
/// The database's.
pub(crate) fn first_since(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    since: Timestamp,
) -> Result<i64, DatabaseError> {
    Ok(stretch(conn, merchant, Some(since), Timestamp::MAX)?.from)
}

/// The decisions from an index of the merchant's log on. What is pruned of it is left out.
///
/// # Errors
/// The database's.
pub(crate) fn list_decisions(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    from: i64,
) -> Result<DecisionPage, DatabaseError> {
    let Some((log, size)) = rows::find_log_size(conn, merchant)? else {
        return Ok(DecisionPage { next: from, is_last: true, ..DecisionPage::default() });
    };
    let next = size.min(from.saturating_add(PAGE)).max(from);
    let mut decisions = Vec::new();
    for row in rows::list_placed(conn, &log, &[check::KIND], from, next)? {
        // One that a newer build wrote otherwise is not counted here; reports say so.
        let Some(facts) = row.body.as_deref().and_then(|body| Excerpt::of(body).ok()).map(|excerpt| excerpt.facts)
        else {
            continue;
        };
        if let (Some(perk), Some(decision)) = (facts.perk_id, facts.decision) {
            let at = crate::foundation::clock::from_micros(row.at);
            let reason = facts.reasons.into_iter().next().map(|reason| reason.code.into_owned());
            decisions.push(Decision { perk: perk.into_owned(), at, decision: decision.into_owned(), reason });
        }
    }
    Ok(DecisionPage { decisions, next, is_last: next >= size })
}

/// The counters that are asked for: each by its perk, limit, scope and window.
#[derive(Debug, Default)]
pub(crate) struct CountersAsked {
    pub counters: Vec<[String; 4]>,
    pub places: Vec<CountedPlace>,
}

/// The counters as they stand.
#[derive(Debug, Default)]
pub(crate) struct CountersRead {
    pub used: HashMap<[String; 4], u64>,
    /// How many are inside, in the order of the places.
    pub inside: Vec<u64>,
}

/// Reads counters of the merchant without locking them.
///
/// # Errors
/// The database's.
pub(crate) fn read_counters(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    asked: &CountersAsked,
    now: Timestamp,
) -> Result<CountersRead, DatabaseError> {
    let keys: Vec<[&str; 4]> = asked.counters.iter().map(|key| key.each_ref().map(String::as_str)).collect();
    let rows = list_counters(conn, merchant, &keys)?;
    let used = rows.into_iter().map(|row| {
        let used = u64::try_from(row.used).unwrap_or(0);
        ([row.perk_id, row.limit_id, row.scope_key, row.window_key], used)
    });
    let used = used.collect();
    let inside = asked.places.iter().map(|place| Ok(occupancy::read(conn, place, now)?.count));
    Ok(CountersRead { used, inside: inside.collect::<Result<_, DatabaseError>>()? })
}
