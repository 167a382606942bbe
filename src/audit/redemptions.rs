//! Redemptions against the events of all logs: by tally, and one by one only when the tallies differ.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::body::{Body, Facts, RedeemFacts};
use super::findings::{Findings, Place, Wrong};
use super::logs::Logs;
use super::marks::Marks;
use super::store::{self, EventRow, RedemptionRow};
use super::tally::{Field, Likeness, Tally, Told, number, text};
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::redemptions::{KIND, digest_of};

/// The slot of a token that is spent once.
pub(super) const SINGLE: &str = "single";

type ToldRedemption<'a> = Told<'a, 7>;

fn by_event<'a>(merchant: &'a str, body: &'a Body<'_>, facts: &'a RedeemFacts<'_>) -> ToldRedemption<'a> {
    Told {
        fields: [
            ("grant", text(&body.about)),
            ("slot", text(&facts.slot)),
            ("merchant", text(merchant)),
            ("door's key", text(body.actor.key.as_deref().unwrap_or_default())),
            ("door", text(&facts.door)),
            ("attempt", text(&facts.attempt_sha256)),
            ("instant", number(body.at.0)),
        ],
    }
}

fn by_row(row: &RedemptionRow) -> ToldRedemption<'_> {
    Told {
        fields: [
            ("grant", text(&row.grant_id)),
            ("slot", text(&row.slot)),
            ("merchant", text(&row.merchant_id)),
            ("door's key", text(&row.key_id)),
            ("door", text(&row.door)),
            ("attempt", Field::Made(digest_of(&[&row.key_id, &row.door, &row.attempt]))),
            ("instant", number(row.redeemed_at)),
        ],
    }
}

/// What the events make of the redemptions.
pub(super) struct Redemptions {
    empty: Tally,
    by_events: Tally,
    /// Whether events of some are pruned, which no tally holds.
    pub has_gone: bool,
}

impl Redemptions {
    pub(super) fn new(marks: &Marks) -> Self {
        Self { empty: Tally::new(marks.clone()), by_events: Tally::new(marks.clone()), has_gone: false }
    }

    pub(super) fn take(&mut self, merchant: &str, body: &Body<'_>, facts: &RedeemFacts<'_>) {
        by_event(merchant, body, facts).add_to(&mut self.by_events);
    }

    /// Compares with all rows; returns how many there are.
    pub(super) fn close(
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
        if self.has_gone || !self.by_events.agrees(&by_rows) {
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

/// Of one grant: the rows that no event tells of, against the events that are pruned.
#[derive(Default)]
struct Counted {
    grant: String,
    rows: usize,
    gone: usize,
    place: Place,
}

impl Counted {
    /// Which row is wrong can't be told, but that one is.
    fn settle(&mut self, findings: &mut Findings) {
        let Self { grant, rows, gone, place } = std::mem::take(self);
        match rows.cmp(&gone) {
            Ordering::Equal => {}
            Ordering::Less => findings.add(place, Wrong::RedemptionMissing { grant, slot: PRUNED.to_owned() }),
            Ordering::Greater => {
                findings.add(place, Wrong::RedemptionWithoutEvent { grant, slot: format!("one of {rows}") });
            }
        }
    }
}

/// The slot of a redemption whose event is pruned.
const PRUNED: &str = "pruned";

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
    for rows in page.chunk_by(|one, other| *one.grant_id == *other.grant_id) {
        let Some(grant) = rows.first().map(|row| &*row.grant_id) else { continue };
        let of_grant: Vec<&(Option<String>, EventRow)> =
            events.iter().filter(|(_, event)| *event.about == *grant).collect();
        // The body's kind, not the column's, which may have been changed to mislead.
        let told: Vec<(Option<&str>, &EventRow, Body<'_>)> = of_grant
            .iter()
            .filter_map(|(owner, event)| Some((owner.as_deref(), event, Body::parse(event.body.as_deref()?).ok()?)))
            .collect();
        let gone = of_grant.iter().filter(|(_, event)| event.body.is_none() && &*event.kind == KIND);
        let gone: Vec<Option<&str>> = gone.map(|(owner, _)| owner.as_deref()).collect();
        if counted.grant != grant {
            counted.settle(findings);
            let place = rows.first().map(|row| logs.place_of(&row.merchant_id)).unwrap_or_default();
            *counted = Counted { grant: grant.to_owned(), rows: 0, gone: gone.len(), place };
        }
        for row in rows {
            let mine = told.iter().filter(|(owner, ..)| *owner == Some(&*row.merchant_id));
            let naming: Vec<(&EventRow, Likeness)> =
                mine.filter_map(|(_, event, body)| Some((*event, compare(body, row)?))).collect();
            let (grant, slot) = (row.grant_id.to_string(), row.slot.to_string());
            match naming.as_slice() {
                [] if gone.contains(&Some(&*row.merchant_id)) => {
                    counted.rows += 1;
                    if !is_slot_of(row) {
                        let wrong = Wrong::Redemption { grant, slot, part: "slot" };
                        findings.add(logs.place_of(&row.merchant_id), wrong);
                    }
                }
                [] => findings.add(logs.place_of(&row.merchant_id), Wrong::RedemptionWithoutEvent { grant, slot }),
                [(event, Likeness::Differs(part))] => {
                    findings.add(logs.place_at(&row.merchant_id, event), Wrong::Redemption { grant, slot, part });
                }
                [(_, Likeness::Same)] => {}
                [_, (again, _), ..] => {
                    let wrong = Wrong::Redemption { grant, slot, part: "number: it was spent twice" };
                    findings.add(logs.place_at(&row.merchant_id, again), wrong);
                }
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

/// Whether the row's slot is one that its attempt could have taken.
fn is_slot_of(row: &RedemptionRow) -> bool {
    *row.slot == *SINGLE || *row.slot == *digest_of(&[&row.key_id, &row.door, &row.attempt])
}

/// Every event whose redemption is gone.
fn name_missing(conn: &mut AnyConnection, logs: &Logs, findings: &mut Findings) -> Result<(), DatabaseError> {
    logs.each_page(conn, |conn, log, page| {
        let mut redeemed = Vec::new();
        for event in page {
            match event.body.as_deref().map(Body::parse) {
                Some(Ok(Body { facts: Facts::Redeem(facts), about, .. })) => {
                    redeemed.push((event, about.to_string(), Some(facts.slot.to_string())));
                }
                // The table still says what it was about.
                None if &*event.kind == KIND => redeemed.push((event, event.about.to_string(), None)),
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
