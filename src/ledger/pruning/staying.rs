//! What is old enough to go and stays: what limits go on counting, and all that belongs to what stays.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::database::{AnyConnection, DatabaseError};
use crate::json::Json;
use crate::ledger::store::history::LoggedRow;
use crate::ledger::store::pruning as rows;
use crate::ledger::{checks, contests, redemptions, referrals, returns};
use crate::perks::limit::ROLLING;

/// Whether each of the rows goes. A check goes unless it is a grant that limits go on counting; what became
/// of a grant goes with its check, and what people decided with what they decided about, so that what is left is
/// either whole or nothing.
pub(super) fn choose(
    conn: &mut AnyConnection,
    log: &str,
    rows: Vec<LoggedRow>,
    before: i64,
) -> Result<Vec<(LoggedRow, bool)>, DatabaseError> {
    let mut parsed = Vec::with_capacity(rows.len());
    for row in rows {
        let check = check_of(&row)?;
        parsed.push((row, check));
    }
    let asked: Vec<&str> = parsed.iter().filter_map(|(_, check)| check.as_deref()).collect();
    let mut stays = HashSet::new();
    // Replicas' clocks differ: a case may be younger than its decision.
    for (check, at, body) in rows::list_bodies_about(conn, log, &[checks::KIND, contests::OPENED], &asked)? {
        let Some(body) = body else { continue };
        if at >= before || goes_on_counting(&body, before)? {
            stays.insert(check);
        }
    }
    let goes = |row: &LoggedRow, check: Option<&str>| match (check, row.body.as_deref()) {
        (Some(check), _) => Ok(!stays.contains(check)),
        (None, Some(body)) if row.kind == checks::KIND => goes_on_counting(body, before).map(|counts| !counts),
        (None, _) => Ok(true),
    };
    parsed.into_iter().map(|(row, check)| goes(&row, check.as_deref()).map(|goes| (row, goes))).collect()
}

/// The check that an event goes with, unless it is a check itself.
fn check_of(row: &LoggedRow) -> Result<Option<String>, DatabaseError> {
    Ok(match row.kind.as_str() {
        redemptions::KIND | returns::RELEASED | returns::VOIDED => {
            let body = Json::parse(row.body.as_deref().unwrap_or_default());
            let body = body.map_err(|e| DatabaseError::corrupt("event", e))?;
            let check = body.member("facts").and_then(|facts| facts.member("check"));
            check.and_then(Json::as_text).map(str::to_owned)
        }
        referrals::KIND | contests::OPENED | contests::UPHELD | contests::OVERTURNED | contests::CLOSED => {
            Some(row.about.clone())
        }
        _ => None,
    })
}

/// Whether limits count a check when all from before `before` is gone: its window never ends, or a counter that
/// uses lapse from one by one has it at a later time than the event, since another replica's clock was ahead.
/// Bodies are canonical, and what callers write is escaped where it holds quotes.
fn goes_on_counting(body: &str, before: i64) -> Result<bool, DatabaseError> {
    if !body.contains(GRANTED) || body.contains(r#""window":"lifetime""#) {
        return Ok(body.contains(GRANTED));
    }
    if !body.contains(r#""window":"rolling""#) {
        return Ok(false);
    }
    let body = Json::parse(body).map_err(|e| DatabaseError::corrupt("event", e))?;
    Ok(limits_of(&body).iter().filter_map(counts_from).any(|from| from.as_microsecond() >= before))
}

/// What a body holds of a check that was granted.
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
