//! Requests of people against the events of one merchant: each row is as the last event about it left it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::audit::reader::body::Body;
use crate::audit::reader::instant::Instant;
use crate::audit::reader::text::Text;
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::missing_events::Gaps;
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::cases::requests::{CONFIRMED, MADE};

/// The longest that an erasure waits, in microseconds.
const LONGEST_WAIT: i64 = 30 * 24 * 3_600_000_000;

/// The facts of all three kinds.
#[derive(Deserialize)]
pub(crate) struct RequestFacts<'a> {
    #[serde(borrow)]
    pub request: Text<'a>,
    #[serde(borrow)]
    pub subject: Text<'a>,
    #[serde(borrow)]
    pub check: Option<Text<'a>>,
    pub asked_at: Option<Instant>,
    pub decided_at: Option<Instant>,
    pub due_at: Option<Instant>,
}

/// The requests of one log, by id.
#[derive(Default)]
pub(crate) struct Requests(BTreeMap<String, Expected>);

#[derive(Clone, PartialEq, Eq)]
struct Expected {
    kind: String,
    subject: String,
    check: String,
    status: &'static str,
    asked_at: i64,
    decided_at: Option<i64>,
    decided_by: Option<String>,
    due_at: Option<i64>,
}

impl Requests {
    pub(crate) fn take(&mut self, at: At<'_>, body: &Body<'_>, facts: &RequestFacts<'_>, findings: &mut Findings) {
        let mut wrong = |reason| findings.add(at, Wrong::Incoherent { reason });
        if *body.kind == *MADE {
            let (Some(check), Some(asked_at)) = (&facts.check, facts.asked_at) else {
                return wrong("a request says by which check it was made, and when");
            };
            let made = Expected {
                kind: facts.request.to_string(),
                subject: facts.subject.to_string(),
                check: check.to_string(),
                status: "open",
                asked_at: asked_at.0,
                decided_at: None,
                decided_by: None,
                due_at: None,
            };
            if self.0.insert(body.about.to_string(), made).is_some() {
                wrong("a request is made twice");
            }
            return;
        }
        // What was made in a part that is not here can't be held to anything.
        let Some(known) = self.0.get_mut(&*body.about) else { return };
        let confirms = *body.kind == *CONFIRMED;
        if known.status != "open" || known.kind != *facts.request || known.subject != *facts.subject {
            wrong("a request is decided that is another's, or was decided before");
        }
        let wants_due = confirms && known.kind == "erasure";
        let last = known.asked_at.saturating_add(LONGEST_WAIT).max(facts.decided_at.map_or(0, |at| at.0));
        if wants_due != facts.due_at.is_some() || facts.due_at.is_some_and(|due| due.0 > last) {
            wrong("an erasure that is confirmed is due within 30 days of the request, and nothing else is");
        }
        known.status = if confirms { "confirmed" } else { "declined" };
        known.decided_at = facts.decided_at.map(|at| at.0);
        known.decided_by = Some(body.actor.key.as_deref().unwrap_or(&body.actor.role).to_owned());
        known.due_at = facts.due_at.map(|at| at.0);
    }

    /// The person was erased: what was pending is settled.
    pub(crate) fn erased(&mut self, subject: &str) {
        for request in self.0.values_mut().filter(|it| it.subject == subject) {
            request.status = match (request.status, request.kind.as_str()) {
                ("open" | "confirmed", "erasure") => "carried_out",
                ("open", _) => "closed",
                (other, _) => other,
            };
        }
    }

    /// Compares with the merchant's rows.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        gaps: &Gaps,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        let mut add = |request: String, part| findings.add(FindingPlace::log(log), Wrong::Request { request, part });
        let mut last = String::new();
        loop {
            let page = store::list_requests(conn, merchant, &last)?;
            for row in &page {
                let Some(expected) = self.0.remove(&row.id) else {
                    if !gaps.may_hold(row.asked_at) {
                        add(row.id.clone(), "no event makes this request");
                    }
                    continue;
                };
                let is_same = expected.kind == row.kind
                    && expected.subject == row.subject
                    && expected.check == row.check_id
                    && expected.status == row.status
                    && expected.asked_at == row.asked_at
                    && expected.decided_at == row.decided_at
                    && expected.decided_by == row.decided_by
                    && expected.due_at == row.due_at;
                if !is_same && !gaps.any() {
                    add(row.id.clone(), "its row says something else");
                }
            }
            if page.len() < store::PAGE {
                break;
            }
            last = page.into_iter().next_back().map(|row| row.id).unwrap_or_default();
        }
        for request in self.0.into_keys() {
            add(request, "its row is missing");
        }
        Ok(())
    }
}
