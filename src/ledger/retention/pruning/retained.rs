//! Events that are old enough to go and are retained: those that limits go on counting, and all that belongs to those.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::json::Json;
use crate::ledger::cases::{contest, referral};
use crate::ledger::grants::ending;
use crate::ledger::store::history::LoggedRow;
use crate::ledger::store::pruning as rows;
use crate::ledger::write::{check, redemption};
use crate::rules::limit::ROLLING;

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
            let body = Json::parse(row.body.as_deref().unwrap_or_default());
            let body = body.map_err(|e| DatabaseError::corrupt("event", e))?;
            let check = body.member("facts").and_then(|facts| facts.member("check"));
            check.and_then(Json::as_text).map(str::to_owned)
        }
        referral::KIND | contest::OPENED | contest::ADDED | contest::UPHELD | contest::OVERTURNED | contest::CLOSED => {
            Some(row.about.clone())
        }
        _ => None,
    })
}

/// From when limits count a check at the latest: to the end of time where its window never ends; and later than the event
/// where a counter that uses lapse from one by one has it so, since another replica's clock was ahead. Bodies are
/// canonical, and what callers write is escaped where it holds quotes.
fn counts_since(body: &str) -> Result<i64, DatabaseError> {
    if !body.contains(GRANTED) {
        return Ok(i64::MIN);
    }
    if body.contains(r#""window":"lifetime""#) {
        return Ok(i64::MAX);
    }
    if !body.contains(r#""window":"rolling""#) {
        return Ok(i64::MIN);
    }
    let body = Json::parse(body).map_err(|e| DatabaseError::corrupt("event", e))?;
    Ok(limits_of(&body).iter().filter_map(counts_from).map(Timestamp::as_microsecond).max().unwrap_or(i64::MIN))
}

/// The text that marks the body of a check that was granted.
pub(super) const GRANTED: &str = r#""decision":"granted""#;

/// The limits that a check used.
pub(super) fn limits_of(body: &Json) -> &[Json] {
    body.member("facts").and_then(|facts| facts.member("limits")).and_then(Json::as_list).unwrap_or_default()
}

/// From when a limit in a rolling window counts its use.
pub(super) fn counts_from(limit: &Json) -> Option<Timestamp> {
    let text = |name: &str| limit.member(name).and_then(Json::as_text);
    text("window").filter(|window| *window == ROLLING)?;
    text("counts_at")?.parse().ok()
}
