//! Redemptions against the events of all logs: by tally, and one by one only when the tallies differ.

use std::collections::{HashMap, HashSet};

use crate::audit::reader::body::{Body, Facts, RedeemFacts};
use crate::audit::verify::findings::{FindingPlace, Findings, Wrong};
use crate::audit::verify::fingerprints::Fingerprints;
use crate::audit::verify::logs::Logs;
use crate::audit::verify::store::{self, EventRow, RedemptionRow};
use crate::audit::verify::tally::{Field, Likeness, RecordedFields, Tally, number, text};
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::write::redemption::{digest_of, is_redemption};

/// The slot of a token that is spent once.
pub(crate) const SINGLE: &str = "single";

type RedemptionFields<'a> = RecordedFields<'a, 9>;

fn by_event<'a>(merchant: &'a str, body: &'a Body<'_>, facts: &'a RedeemFacts<'_>) -> RedemptionFields<'a> {
    RecordedFields {
        fields: [
            ("grant", text(&body.about)),
            ("slot", text(&facts.slot)),
            ("merchant", text(merchant)),
            ("door's key", text(body.actor.key.as_deref().unwrap_or_default())),
            ("door", text(&facts.door)),
            ("attempt", text(&facts.attempt_sha256)),
            ("instant", number(facts.redeemed_at.unwrap_or(body.at).0)),
            ("report", number(facts.redeemed_at.map_or(i64::MIN, |_| body.at.0))),
            ("end meanwhile", text(facts.meanwhile.as_deref().unwrap_or_default())),
        ],
    }
}

fn by_row(row: &RedemptionRow) -> RedemptionFields<'_> {
    RecordedFields {
        fields: [
            ("grant", text(&row.grant_id)),
            ("slot", text(&row.slot)),
            ("merchant", text(&row.merchant_id)),
            ("door's key", text(&row.key_id)),
            ("door", text(&row.door)),
            ("attempt", Field::Made(digest_of(&[&row.key_id, &row.door, &row.attempt]))),
            ("instant", number(row.redeemed_at)),
            ("report", number(row.heard_at.unwrap_or(i64::MIN))),
            ("end meanwhile", text(row.meanwhile.as_deref().unwrap_or_default())),
        ],
    }
}

/// The redemptions as the events have them.
pub(crate) struct Redemptions {
    empty: Tally,
    by_events: Tally,
    /// True if events of some are pruned, which no tally holds.
    pub has_pruned: bool,
}

impl Redemptions {
    pub(crate) fn new(fingerprints: &Fingerprints) -> Self {
        Self { empty: Tally::new(fingerprints.clone()), by_events: Tally::new(fingerprints.clone()), has_pruned: false }
    }

    pub(crate) fn take(&mut self, merchant: &str, body: &Body<'_>, facts: &RedeemFacts<'_>) {
        by_event(merchant, body, facts).add_to(&mut self.by_events);
    }

    /// Compares with all rows; returns how many there are.
    pub(crate) fn close(
        self,
        conn: &mut AnyConnection,
        logs: &Logs,
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let mut by_rows = self.empty;
        each_page(conn, |_, page| {
            for row in page {
                by_row(row).add_to(&mut by_rows);
            }
            Ok(())
        })?;
        if self.has_pruned || !self.by_events.agrees(&by_rows) {
            let mut counted = Counted::default();
            each_page(conn, |conn, page| name_rows(conn, logs, page, &mut counted, findings))?;
            counted.settle(findings);
            name_missing(conn, logs, findings)?;
        }
        Ok(by_rows.count())
    }
}

fn each_page(
    conn: &mut AnyConnection,
    mut f: impl FnMut(&mut AnyConnection, &[RedemptionRow]) -> Result<(), DatabaseError>,
) -> Result<(), DatabaseError> {
    let mut last = (String::new(), String::new());
    loop {
        let page = store::list_redemptions(conn, (&last.0, &last.1))?;
        f(conn, &page)?;
        match page.into_iter().nth(store::PAGE - 1) {
            Some(row) => last = (row.grant_id.to_string(), row.slot.to_string()),
            None => return Ok(()),
        }
    }
}

/// The rows of one grant that no event records, against the events that are pruned.
#[derive(Default)]
struct Counted {
    grant: String,
    /// The slots of rows of no instant at which an event is pruned.
    rows: Vec<String>,
    /// The instants of pruned events that no row has.
    pruned: Vec<i64>,
    place: FindingPlace,
}

impl Counted {
    fn meet(&mut self, row: &RedemptionRow) {
        // The event's own time is when the gateway heard of it.
        match self.pruned.iter().position(|at| *at == row.heard_at.unwrap_or(row.redeemed_at)) {
            Some(nth) => drop(self.pruned.swap_remove(nth)),
            None => self.rows.push(row.slot.to_string()),
        }
    }

    /// Adds the findings for what is left of either, with no match in the other.
    fn settle(&mut self, findings: &mut Findings) {
        let Self { grant, mut rows, mut pruned, place } = std::mem::take(self);
        while let Some(slot) = rows.pop() {
            let grant = grant.clone();
            let wrong = match pruned.pop() {
                Some(_) => Wrong::Redemption { grant, slot, part: "instant" },
                None => Wrong::RedemptionWithoutEvent { grant, slot },
            };
            findings.add(place.clone(), wrong);
        }
        for _ in pruned {
            let wrong = Wrong::RedemptionMissing { grant: grant.clone(), slot: PRUNED.to_owned() };
            findings.add(place.clone(), wrong);
        }
    }
}

/// The slot of a redemption whose event is pruned.
const PRUNED: &str = "pruned";

/// The redemptions of a grant as the log of one merchant has them.
#[derive(Default)]
struct OfGrant<'a> {
    /// By slot.
    recorded: HashMap<String, Vec<(&'a EventRow, Body<'a>)>>,
    /// The instants of events that are pruned.
    pruned: Vec<i64>,
}

impl<'a> OfGrant<'a> {
    fn take(&mut self, event: &'a EventRow) {
        // The body's kind, not the column's, which may have been changed to mislead.
        match event.body.as_deref().map(Body::parse) {
            None if is_redemption(&event.kind) => self.pruned.push(event.at),
            Some(Ok(body)) => {
                if let Facts::Redeem(facts) = &body.facts {
                    self.recorded.entry(facts.slot.to_string()).or_default().push((event, body));
                }
            }
            _ => {}
        }
    }
}

/// Every row whose event differs from it or is not there.
fn name_rows(
    conn: &mut AnyConnection,
    logs: &Logs,
    page: &[RedemptionRow],
    counted: &mut Counted,
    findings: &mut Findings,
) -> Result<(), DatabaseError> {
    let mut grants: Vec<&str> = page.iter().map(|row| &*row.grant_id).collect();
    grants.dedup();
    let events = store::list_events_about(conn, &grants)?;
    let mut of_grants: HashMap<(Option<&str>, &str), OfGrant<'_>> = HashMap::new();
    for (owner, event) in &events {
        of_grants.entry((owner.as_deref(), &event.about)).or_default().take(event);
    }
    let none = OfGrant::default();
    for row in page {
        let of_grant = of_grants.get(&(Some(&row.merchant_id), &row.grant_id)).unwrap_or(&none);
        if counted.grant != *row.grant_id {
            counted.settle(findings);
            let (place, pruned) = (logs.place_of(&row.merchant_id), of_grant.pruned.clone());
            *counted = Counted { grant: row.grant_id.to_string(), rows: Vec::new(), pruned, place };
        }
        let naming = of_grant.recorded.get(&*row.slot).map(Vec::as_slice).unwrap_or_default();
        let (grant, slot) = (row.grant_id.to_string(), row.slot.to_string());
        match naming {
            [] if !of_grant.pruned.is_empty() => {
                counted.meet(row);
                if !is_slot_of(row) {
                    findings.add(logs.place_of(&row.merchant_id), Wrong::Redemption { grant, slot, part: "slot" });
                }
            }
            [] => findings.add(logs.place_of(&row.merchant_id), Wrong::RedemptionWithoutEvent { grant, slot }),
            [(event, body)] => {
                if let Some(Likeness::Differs(part)) = compare(body, row) {
                    findings.add(logs.place_at(&row.merchant_id, event), Wrong::Redemption { grant, slot, part });
                }
            }
            [_, (again, _), ..] => {
                let wrong = Wrong::Redemption { grant, slot, part: "number: it was spent twice" };
                findings.add(logs.place_at(&row.merchant_id, again), wrong);
            }
        }
    }
    Ok(())
}

/// In what the event differs from the row, if it took that slot at all.
fn compare(body: &Body<'_>, row: &RedemptionRow) -> Option<Likeness> {
    let Facts::Redeem(facts) = &body.facts else { return None };
    (*facts.slot == *row.slot).then(|| by_event(&row.merchant_id, body, facts).compare(&by_row(row)))
}

/// Tells whether the row's slot is one that its attempt could have taken.
fn is_slot_of(row: &RedemptionRow) -> bool {
    *row.slot == *SINGLE || *row.slot == *digest_of(&[&row.key_id, &row.door, &row.attempt])
}

/// Every event whose redemption is missing from the table.
fn name_missing(conn: &mut AnyConnection, logs: &Logs, findings: &mut Findings) -> Result<(), DatabaseError> {
    logs.each_page(conn, |conn, log, page| {
        let mut redeemed = Vec::new();
        for event in page {
            match event.body.as_deref().map(Body::parse) {
                Some(Ok(Body { facts: Facts::Redeem(facts), about, .. })) => {
                    redeemed.push((event, about.to_string(), Some(facts.slot.to_string())));
                }
                // The table still says what it was about.
                None if is_redemption(&event.kind) => redeemed.push((event, event.about.to_string(), None)),
                _ => {}
            }
        }
        let grants: Vec<String> = redeemed.iter().map(|(_, grant, _)| grant.clone()).collect();
        let mut there: HashMap<String, HashSet<String>> = HashMap::new();
        for (grant, slot) in store::list_slots(conn, &grants)? {
            there.entry(grant).or_default().insert(slot);
        }
        for (event, grant, slot) in redeemed {
            let is_there = there.get(&grant).is_some_and(|slots| slot.as_ref().is_none_or(|slot| slots.contains(slot)));
            if !is_there {
                let slot = slot.unwrap_or_else(|| PRUNED.to_owned());
                findings.add(log.at(event), Wrong::RedemptionMissing { grant, slot });
            }
        }
        Ok(())
    })
}
