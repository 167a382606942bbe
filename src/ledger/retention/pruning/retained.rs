//! Events that are old enough to go and are retained: those that limits go on counting, and all that belongs to those.
//! So is one whose body can't be read, as if limits counted it for ever: nobody can tell that they don't, and the
//! damaged body is the evidence of what `audit verify` finds. It stands in nothing else's way.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::cases::{contest, referral};
use crate::ledger::error::unreadable;
use crate::ledger::events::StoredEvent;
use crate::ledger::events::check::LimitAsked;
use crate::ledger::events::excerpt::Excerpt;
use crate::ledger::grants::{correction, ending};
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
    /// Why its body can't be read.
    pub damage: Option<DatabaseError>,
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
    let checks: Vec<_> = rows.iter().map(check_of).collect();
    let asked: Vec<&str> = checks.iter().filter_map(|check| check.as_ref().ok()?.as_deref()).collect();
    // Replicas' clocks differ: a case may be younger than its decision.
    let mut ages: HashMap<String, i64> = HashMap::new();
    for about in rows::list_bodies_about(conn, log, &[check::KIND, contest::OPENED, contest::ADDED], &asked)? {
        let Some(body) = about.body else { continue };
        // Limits count no contest.
        let counted = about.kind == check::KIND;
        let since = if counted { counts_since(&about.id, &body).unwrap_or(i64::MAX) } else { about.at };
        let age = ages.entry(about.about).or_insert(about.at);
        *age = about.at.max(since).max(*age);
    }
    let choice = |(row, check): (LoggedRow, Result<Option<String>, DatabaseError>)| {
        let other = check.and_then(|check| match (check, row.body.as_deref()) {
            (Some(check), _) => Ok(ages.get(&check).copied()),
            (None, Some(body)) if row.kind == check::KIND => counts_since(&row.id, body).map(Some),
            (None, _) => Ok(None),
        });
        let (other, damage) = match other {
            Ok(other) => (other, None),
            Err(damage) => (Some(i64::MAX), Some(damage)),
        };
        let since = other.map_or(row.at, |other| row.at.max(other));
        Choice { since, goes: since < before, damage, row }
    };
    Ok(rows.into_iter().zip(checks).map(choice).collect())
}

/// The check that an event goes with, unless it is a check itself.
fn check_of(row: &LoggedRow) -> Result<Option<String>, DatabaseError> {
    Ok(match row.kind.as_str() {
        redemption::KIND | correction::CORRECTED | ending::RELEASED | ending::VOIDED => {
            let event = StoredEvent::<OfCheck>::from_body(row.body.as_deref().unwrap_or_default());
            Some(event.map_err(|error| unreadable(&row.id, error))?.facts.check)
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
/// check that was not granted.
fn counts_since(event: &str, body: &str) -> Result<i64, DatabaseError> {
    let limits = used_limits(event, body)?;
    if limits.iter().any(|limit| limit.window == LIFETIME) {
        return Ok(i64::MAX);
    }
    Ok(limits.iter().filter_map(counts_from).map(Timestamp::as_microsecond).max().unwrap_or(i64::MIN))
}

/// The limits that a check used; none where it was not granted.
pub(super) fn used_limits(event: &str, body: &str) -> Result<Vec<LimitAsked<'static>>, DatabaseError> {
    if !Excerpt::of(body).map_err(|error| unreadable(event, error))?.facts.is_granted() {
        return Ok(Vec::new());
    }
    Ok(StoredCheck::from_body(body).map_err(|error| unreadable(event, error))?.facts.limits)
}

/// From when a limit in a rolling window counts its use.
pub(super) fn counts_from(limit: &LimitAsked<'_>) -> Option<Timestamp> {
    limit.counts_at.and_then(|at| at.0).filter(|_| limit.window == ROLLING)
}
