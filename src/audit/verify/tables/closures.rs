//! Places that are closed, held to the events of one merchant: the last about each place says all.

use std::collections::BTreeMap;

use crate::audit::reader::body::{Body, PlaceFacts};
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::perks::closures::OPENED;

/// The closures of one log, by perk and location.
#[derive(Default)]
pub(crate) struct Closures {
    closed: BTreeMap<(String, String), Expected>,
    /// Perks of which an event's body is missing.
    unknown: Vec<String>,
}

#[derive(PartialEq, Eq)]
struct Expected {
    id: String,
    until: i64,
    message: Option<String>,
    made_at: i64,
    made_by: String,
    /// Another place was closed after it was over: then it is forgotten.
    may_be_missing: bool,
}

/// The longest that an event waits for its turn: microseconds.
const TURN: i64 = 60_000_000;

impl Closures {
    pub(crate) fn take(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        facts: &PlaceFacts<'_>,
        has_gaps: bool,
        findings: &mut Findings,
    ) {
        let place = (body.about.to_string(), facts.location.as_deref().unwrap_or_default().to_owned());
        if *body.kind == *OPENED {
            let was = self.closed.remove(&place);
            if !has_gaps && was.is_none_or(|was| *was.id != *facts.closure || was.until != facts.until.0) {
                findings.add(at, Wrong::Incoherent { reason: "it opens a place that this closure had not closed" });
            }
            return;
        }
        let made_by = body.actor.name();
        let message = facts.message.as_deref().map(str::to_owned);
        let (id, until) = (facts.closure.to_string(), facts.until.0);
        // The event's instant is that of its turn, which may come a moment later.
        if until.saturating_add(TURN) <= body.at.0 {
            findings.add(at, Wrong::Incoherent { reason: "a place is closed until an instant that had passed" });
        }
        for (of, known) in &mut self.closed {
            known.may_be_missing |= of.0 == place.0 && known.until <= body.at.0;
        }
        self.closed.insert(place, Expected { may_be_missing: false, id, until, message, made_at: body.at.0, made_by });
    }

    /// The body of an event about this perk is missing, which must not be.
    pub(crate) fn record_pruned(&mut self, perk: &str) {
        self.unknown.push(perk.to_owned());
    }

    /// Compares with the merchant's rows.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        has_gaps: bool,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        let mut add = |closure: String, part| findings.add(FindingPlace::log(log), Wrong::Closure { closure, part });
        for (id, perk, location, until, message, made_at, made_by) in store::list_closures(conn, merchant)? {
            let is_unknown = has_gaps || self.unknown.contains(&perk);
            let Some(expected) = self.closed.remove(&(perk, location)) else {
                if !is_unknown {
                    add(id, "no event closes this place");
                }
                continue;
            };
            // The event's instant is that of its turn, a moment apart from the change's own.
            let is_close = expected.made_at.abs_diff(made_at) <= TURN.unsigned_abs();
            let made_at = if is_close { expected.made_at } else { made_at };
            let may_be_missing = expected.may_be_missing;
            if expected != (Expected { id: id.clone(), until, message, made_at, made_by, may_be_missing }) {
                add(id, "its row says something else");
            }
        }
        for expected in self.closed.into_values().filter(|it| !it.may_be_missing) {
            add(expected.id, "its row is missing");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: At<'_> = At { log: "a", index: 0, event: "", line: None };

    fn closed(closures: &mut Closures, location: &str, at: &str, until: &str) -> usize {
        let facts = format!(r#"{{"closure":"clo_{location}","location":"{location}","perk":"p","until":"{until}"}}"#);
        let text = format!(
            r#"{{"about":"prk_1","actor":{{"key":null,"role":"cli"}},"at":"{at}","facts":{facts},"id":"evt_1","kind":"place.closed","merchant":"mer_1","v":1}}"#
        );
        let mut findings = Findings::default();
        closures.take(AT, &Body::parse(&text).unwrap(), &serde_json::from_str(&facts).unwrap(), false, &mut findings);
        findings.listed().len()
    }

    #[test]
    fn an_event_that_waited_for_its_turn_may_be_a_moment_behind_the_instant_it_closes_until() {
        let mut closures = Closures::default();
        for (at, expected) in [
            ("2012-05-08T19:00:00Z", 0),
            ("2012-05-08T19:00:01Z", 0),
            ("2012-05-08T19:00:59Z", 0),
            ("2012-05-08T19:01:00Z", 1),
        ] {
            assert_eq!(closed(&mut closures, "A", at, "2012-05-08T19:00:00Z"), expected, "{at}");
        }
    }

    #[test]
    fn one_that_is_over_may_be_forgotten_once_another_place_is_closed() {
        let mut closures = Closures::default();
        closed(&mut closures, "A", "2012-05-08T19:00:00Z", "2012-05-08T19:30:00Z");
        closed(&mut closures, "B", "2012-05-08T19:00:00Z", "2012-05-08T20:00:00Z");
        assert!(closures.closed.values().all(|it| !it.may_be_missing));
        closed(&mut closures, "C", "2012-05-08T19:30:00Z", "2012-05-08T20:00:00Z");
        let missing: Vec<_> = closures.closed.values().map(|it| it.may_be_missing).collect();
        assert_eq!(missing, [true, false, false]);
    }
}
