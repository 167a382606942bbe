//! Requests of people against the events of one merchant: each row is as the last event about it left it, and nobody was
//! erased in a person's own name who hadn't asked for it, or before it was due. None of these events is ever pruned.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::audit::reader::body::Body;
use crate::audit::reader::instant::Instant;
use crate::audit::reader::text::Text;
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::missing_events::Gaps;
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::cases::requests::{CONFIRMED, MADE, PERSON};

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

/// The requests of one log.
#[derive(Default)]
pub(crate) struct Requests {
    /// By id.
    made: BTreeMap<String, Expected>,
    /// The erasures in people's own names, by their instants: two forms of one person's handle are erased at one.
    by_person: BTreeMap<i64, ErasedByPerson>,
}

/// The erasures of one instant.
#[derive(Default)]
struct ErasedByPerson {
    /// The first of them.
    index: i64,
    /// One of them was asked for, confirmed and due.
    is_asked_for: bool,
}

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
    pub(crate) fn take(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        facts: &RequestFacts<'_>,
        is_part: bool,
        findings: &mut Findings,
    ) {
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
            if self.made.insert(body.about.to_string(), made).is_some() {
                wrong("a request is made twice");
            }
            return;
        }
        // What was made in a part that is not here can't be held to anything.
        let Some(known) = self.made.get_mut(&*body.about) else {
            if !is_part {
                wrong("a request is decided that nobody made");
            }
            return;
        };
        let confirms = *body.kind == *CONFIRMED;
        // An erasure that was confirmed can be declined until it is carried out.
        let is_open = match known.status {
            "open" => true,
            "confirmed" => !confirms && known.kind == "erasure",
            _ => false,
        };
        if !is_open || known.kind != *facts.request || known.subject != *facts.subject {
            wrong("a request is decided that is another's, or was decided before");
        }
        let wants_due = confirms && known.kind == "erasure";
        let last = known.asked_at.saturating_add(LONGEST_WAIT).max(facts.decided_at.map_or(0, |at| at.0));
        if wants_due != facts.due_at.is_some() || facts.due_at.is_some_and(|due| due.0 > last) {
            wrong("an erasure that is confirmed is due within 30 days of the request, and nothing else is");
        }
        known.status = if confirms { "confirmed" } else { "declined" };
        known.decided_at = facts.decided_at.map(|at| at.0);
        known.decided_by = Some(body.actor.name());
        known.due_at = facts.due_at.map(|at| at.0);
    }

    /// The person was erased: what was pending is settled.
    pub(crate) fn erased(&mut self, at: At<'_>, body: &Body<'_>, subject: &str) {
        let is_due = |it: &Expected| it.status == "confirmed" && it.due_at.is_some_and(|due| due <= body.at.0);
        let own = self.made.values_mut().filter(|it| it.subject == subject);
        let mut is_asked_for = false;
        for request in own {
            is_asked_for |= request.kind == "erasure" && is_due(request);
            request.status = match (request.status, request.kind.as_str()) {
                ("open" | "confirmed", "erasure") => "carried_out",
                ("open", _) => "closed",
                (other, _) => other,
            };
        }
        if *body.actor.role == *PERSON.role {
            let first = ErasedByPerson { index: at.index, is_asked_for: false };
            self.by_person.entry(body.at.0).or_insert(first).is_asked_for |= is_asked_for;
        }
    }

    /// Adds a finding for each erasure in a person's own name that isn't by a request of theirs.
    pub(crate) fn close_alone(&self, log: &str, findings: &mut Findings) {
        for erased in self.by_person.values().filter(|it| !it.is_asked_for) {
            let reason = "a person is erased as they asked for, and has no confirmed request that is due";
            findings.add(FindingPlace::index(log, erased.index), Wrong::Incoherent { reason });
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
        if !gaps.is_part() {
            self.close_alone(log, findings);
        }
        let mut add = |request: String, part| findings.add(FindingPlace::log(log), Wrong::Request { request, part });
        let list = |after: &str| store::list_requests(conn, merchant, after);
        store::each_row(
            list,
            |row| &row.id,
            |row| {
                let Some(expected) = self.made.remove(&row.id) else {
                    if !gaps.is_part() {
                        add(row.id.clone(), "no event makes this request");
                    }
                    return;
                };
                let is_same = expected.kind == row.kind
                    && expected.subject == row.subject
                    && expected.check == row.check_id
                    && expected.status == row.status
                    && expected.asked_at == row.asked_at
                    && expected.decided_at == row.decided_at
                    && expected.decided_by == row.decided_by
                    && expected.due_at == row.due_at;
                if !is_same && !gaps.is_part() {
                    add(row.id.clone(), "its row says something else");
                }
            },
        )?;
        for request in self.made.into_keys() {
            add(request, "its row is missing");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::reader::body::Facts;
    use crate::audit::verify::tables::subjects::Subjects;

    fn event(kind: &str, (about, role): (&str, &str), at: &str, facts: &str) -> String {
        format!(
            r#"{{"about":"{about}","actor":{{"key":null,"role":"{role}"}},"at":"{at}","facts":{{{facts}}},"id":"evt_1","kind":"subject.{kind}","merchant":"mer_1","v":1}}"#
        )
    }

    fn made(id: &str, subject: &str) -> String {
        let facts =
            format!(r#""asked_at":"2012-05-08T19:00:00Z","check":"chk_1","request":"erasure","subject":"{subject}""#);
        event("request_made", (id, "person"), "2012-05-08T19:00:00Z", &facts)
    }

    fn decided(kind: &str, id: &str, subject: &str, due_at: Option<&str>) -> String {
        let due_at = due_at.map(|at| format!(r#""due_at":"{at}","#)).unwrap_or_default();
        let facts = format!(r#""decided_at":"2012-05-09T19:00:00Z",{due_at}"request":"erasure","subject":"{subject}""#);
        event(kind, (id, "cli"), "2012-05-09T19:00:00Z", &facts)
    }

    fn erased(subject: &str, role: &str, at: &str) -> String {
        event("erased", (subject, role), at, &format!(r#""limits":0,"referrals":0,"scores":0,"subject":"{subject}""#))
    }

    /// The number of findings about these events, which are all that there are unless they are a part.
    fn found(events: &[&str], is_part: bool) -> usize {
        let (mut subjects, mut findings) = (Subjects::default(), Findings::default());
        let mut gaps = Gaps::default();
        if is_part {
            gaps.outside();
        }
        for (index, text) in (0..).zip(events) {
            let body = Body::parse(text).unwrap();
            let Facts::Other(facts) = &body.facts else { panic!("no check") };
            let at = At { log: "a", index, event: "", line: None };
            subjects.take(at, &body, facts, &gaps, &mut findings).unwrap();
        }
        if !is_part {
            subjects.close_alone("a", &mut findings);
        }
        findings.listed().len()
    }

    #[test]
    fn a_person_is_erased_in_their_own_name_as_they_asked_for() {
        let due = "2012-05-10T19:00:00Z";
        let (asked, confirmed) = (made("srq_1", "sub_1"), decided("request_confirmed", "srq_1", "sub_1", Some(due)));
        let declined = decided("request_declined", "srq_1", "sub_1", None);
        let at_last = erased("sub_1", "person", due);
        assert_eq!(found(&[&asked, &confirmed, &at_last], false), 0);
        // Another form of the same person's handle is erased with it.
        for events in [[&at_last, &erased("sub_2", "person", due)], [&erased("sub_2", "person", due), &at_last]] {
            assert_eq!(found(&[&asked, &confirmed, events[0], events[1]], false), 0);
        }
        let early = erased("sub_1", "person", "2012-05-10T18:59:59Z");
        let other = erased("sub_2", "person", due);
        for bent in [
            vec![&at_last],
            vec![&asked, &at_last],
            vec![&asked, &confirmed, &early],
            vec![&asked, &confirmed, &other],
            vec![&asked, &confirmed, &declined, &at_last],
        ] {
            let bent: Vec<&str> = bent.into_iter().map(String::as_str).collect();
            assert_eq!(found(&bent, false), 1, "{bent:#?}");
        }
        // Whom the merchant erases needn't have asked; and of a part nobody knows.
        assert_eq!(found(&[&erased("sub_1", "cli", due)], false), 0);
        assert_eq!(found(&[&at_last], true), 0);
    }

    #[test]
    fn a_request_is_decided_once_and_an_erasure_is_declined_until_it_is_carried_out() {
        let due = Some("2012-05-10T19:00:00Z");
        let (asked, confirmed) = (made("srq_1", "sub_1"), decided("request_confirmed", "srq_1", "sub_1", due));
        let declined = decided("request_declined", "srq_1", "sub_1", None);
        let done = erased("sub_1", "cli", "2012-05-10T19:00:00Z");
        assert_eq!(found(&[&asked, &confirmed, &declined], false), 0);
        for bent in [
            vec![&confirmed],
            vec![&declined],
            vec![&asked, &confirmed, &confirmed],
            vec![&asked, &declined, &declined],
            vec![&asked, &declined, &confirmed],
            vec![&asked, &confirmed, &done, &declined],
        ] {
            let bent: Vec<&str> = bent.into_iter().map(String::as_str).collect();
            assert_eq!(found(&bent, false), 1, "{bent:#?}");
        }
        assert_eq!(found(&[&confirmed], true), 0, "it may be made in another part");
        let records = [asked, confirmed, declined].map(|it| it.replace("erasure", "record"));
        let records = records.map(|it| it.replace(r#""due_at":"2012-05-10T19:00:00Z","#, ""));
        assert_eq!(found(&[&records[0], &records[1]], false), 0);
        assert_eq!(found(&[&records[0], &records[1], &records[2]], false), 1, "what is handed over is handed over");
    }
}
