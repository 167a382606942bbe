//! Events that are old enough to go and are retained: those that limits go on counting, and all that belongs to those.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::cases::{contest, referral};
use crate::ledger::events::StoredEvent;
use crate::ledger::events::check::LimitAsked;
use crate::ledger::events::excerpt::Excerpt;
use crate::ledger::grants::ending;
use crate::ledger::store::history::LoggedRow;
use crate::ledger::store::pruning as rows;
use crate::ledger::write::check::{self, StoredCheck};
use crate::ledger::write::redemption;
use crate::rules::limit::{LIFETIME, ROLLING};

/// An event that is old enough to go.
pub(super) struct Choice {
    pub row: LoggedRow,
    /// Pruning takes it when everything goes that is from before a later instant: when the last of what it goes with
    /// was, in microseconds of Unix time; the end of time where limits go on counting it for ever.
    pub since: i64,
    pub goes: bool,
}

/// Tells whether each of the rows goes. A check goes unless it is a grant that limits go on counting; what became
/// of a grant goes with its check, and what people decided with what they decided about, so that what is left is
/// either whole or nothing.
pub(super) fn choose(
    conn: &mut AnyConnection,
    log: &str,
    rows: Vec<LoggedRow>,
    before: i64,
) -> Result<Vec<Choice>, DatabaseError> {
    let mut parsed = Vec::with_capacity(rows.len());
    for row in rows {
        let check = check_of(&row)?;
        parsed.push((row, check));
    }
    let asked: Vec<&str> = parsed.iter().filter_map(|(_, check)| check.as_deref()).collect();
    // Replicas' clocks differ: a case may be younger than its decision.
    let mut ages: HashMap<String, i64> = HashMap::new();
    for (check, at, body) in
        rows::list_bodies_about(conn, log, &[check::KIND, contest::OPENED, contest::ADDED], &asked)?
    {
        let Some(body) = body else { continue };
        let age = ages.entry(check).or_insert(at);
        *age = at.max(counts_since(&body)?).max(*age);
    }
    let choice = |(row, check): (LoggedRow, Option<String>)| {
        let other = match (check, row.body.as_deref()) {
            (Some(check), _) => ages.get(&check).copied(),
            (None, Some(body)) if row.kind == check::KIND => Some(counts_since(body)?),
            (None, _) => None,
        };
        let since = other.map_or(row.at, |other| row.at.max(other));
        Ok(Choice { since, goes: since < before, row })
    };
    parsed.into_iter().map(choice).collect()
}

/// The check that an event goes with, unless it is a check itself.
fn check_of(row: &LoggedRow) -> Result<Option<String>, DatabaseError> {
    Ok(match row.kind.as_str() {
        redemption::KIND | ending::RELEASED | ending::VOIDED => {
            let event = StoredEvent::<OfCheck>::from_body(row.body.as_deref().unwrap_or_default());
            Some(event.map_err(|e| DatabaseError::corrupt("event", e))?.facts.check)
        }
        referral::KIND | contest::OPENED | contest::ADDED | contest::UPHELD | contest::OVERTURNED | contest::CLOSED => {
            Some(row.about.clone())
        }
        _ => None,
    })
}

/// The check that a redemption or an end is of.
#[derive(Deserialize)]
struct OfCheck {
    check: String,
}

/// From when limits count a check at the latest: to the end of time where its window never ends; and later than the event
/// where a counter that uses lapse from one by one has it so, since another replica's clock was ahead. Never, for a
/// check that was not granted, and for a contest.
fn counts_since(body: &str) -> Result<i64, DatabaseError> {
    let limits = used_limits(body)?;
    if limits.iter().any(|limit| limit.window == LIFETIME) {
        return Ok(i64::MAX);
    }
    Ok(limits.iter().filter_map(counts_from).map(Timestamp::as_microsecond).max().unwrap_or(i64::MIN))
}

/// The limits that a check used; none where it was not granted.
pub(super) fn used_limits(body: &str) -> Result<Vec<LimitAsked<'static>>, DatabaseError> {
    let unreadable = |error: &dyn std::fmt::Display| DatabaseError::corrupt("event", error);
    if !Excerpt::of(body).map_err(|e| unreadable(&e))?.facts.is_granted() {
        return Ok(Vec::new());
    }
    Ok(StoredCheck::from_body(body).map_err(|e| unreadable(&e))?.facts.limits)
}

/// From when a limit in a rolling window counts its use.
pub(super) fn counts_from(limit: &LimitAsked<'_>) -> Option<Timestamp> {
    limit.counts_at.and_then(|at| at.0).filter(|_| limit.window == ROLLING)
}
