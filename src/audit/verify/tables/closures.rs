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
}

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
        let made_by = body.actor.key.as_deref().unwrap_or(&body.actor.role).to_owned();
        let message = facts.message.as_deref().map(str::to_owned);
        let (id, until) = (facts.closure.to_string(), facts.until.0);
        if until <= body.at.0 {
            findings.add(at, Wrong::Incoherent { reason: "a place is closed until an instant that had passed" });
        }
        self.closed.insert(place, Expected { id, until, message, made_at: body.at.0, made_by });
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
            let is_close = expected.made_at.abs_diff(made_at) <= 60_000_000;
            let made_at = if is_close { expected.made_at } else { made_at };
            if expected != (Expected { id: id.clone(), until, message, made_at, made_by }) {
                add(id, "its row says something else");
            }
        }
        for expected in self.closed.into_values() {
            add(expected.id, "its row is missing");
        }
        Ok(())
    }
}
