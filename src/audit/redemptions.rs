//! Redemptions against the events of all logs: by tally, and one by one only when the tallies differ.

use std::collections::HashSet;

use super::body::{Body, Facts, RedeemFacts};
use super::findings::{Findings, Wrong};
use super::logs::Logs;
use super::marks::Marks;
use super::store::{self, EventRow, RedemptionRow};
use super::tally::{Field, Likeness, Tally, Told, number, text};
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::redemptions::{KIND, digest_of};

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
}

impl Redemptions {
    pub(super) fn new(marks: &Marks) -> Self {
        Self { empty: Tally::new(marks.clone()), by_events: Tally::new(marks.clone()) }
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
        if !self.by_events.agrees(&by_rows) {
            each_page(conn, |conn, page| name_rows(conn, logs, page, findings))?;
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

/// Every row whose event differs from it or is not there.
fn name_rows(
    conn: &mut AnyConnection,
    logs: &Logs,
    page: &[RedemptionRow],
    findings: &mut Findings,
) -> Result<(), DatabaseError> {
    let mut grants: Vec<&str> = page.iter().map(|row| &*row.grant_id).collect();
    grants.dedup();
    let events = store::list_events_about(conn, &grants)?;
    for row in page {
        let of_grant: Vec<&EventRow> = events
            .iter()
            .filter(|(merchant, event)| merchant.as_deref() == Some(&*row.merchant_id) && *event.about == *row.grant_id)
            .map(|(_, event)| event)
            .collect();
        if of_grant.iter().any(|event| event.body.is_none() && &*event.kind == KIND) {
            continue;
        }
        let naming: Vec<(&EventRow, Likeness)> =
            of_grant.iter().filter_map(|event| Some((*event, compare(event, row)?))).collect();
        let wrong = |part| Wrong::Redemption { grant: row.grant_id.to_string(), slot: row.slot.to_string(), part };
        match naming.as_slice() {
            [] => findings.add(
                logs.place_of(&row.merchant_id),
                Wrong::RedemptionWithoutEvent { grant: row.grant_id.to_string(), slot: row.slot.to_string() },
            ),
            [(event, Likeness::Differs(part))] => findings.add(logs.place_at(&row.merchant_id, event), wrong(part)),
            [(_, Likeness::Same)] => {}
            [_, (again, _), ..] => {
                findings.add(logs.place_at(&row.merchant_id, again), wrong("number: it was spent twice"));
            }
        }
    }
    Ok(())
}

/// In what the event differs from the row, if it took that slot at all.
fn compare(event: &EventRow, row: &RedemptionRow) -> Option<Likeness> {
    // The body's kind, not the column's, which may have been changed to mislead.
    let body = Body::parse(event.body.as_deref()?).ok()?;
    let Facts::Redeem(facts) = &body.facts else { return None };
    (*facts.slot == *row.slot).then(|| by_event(&row.merchant_id, &body, facts).compare(&by_row(row)))
}

/// Every event whose redemption is gone.
fn name_missing(conn: &mut AnyConnection, logs: &Logs, findings: &mut Findings) -> Result<(), DatabaseError> {
    logs.each_page(conn, |conn, log, page| {
        let mut redeemed = Vec::new();
        for event in page {
            let Some(Ok(body)) = event.body.as_deref().map(Body::parse) else { continue };
            if let Facts::Redeem(facts) = &body.facts {
                redeemed.push((event, (body.about.to_string(), facts.slot.to_string())));
            }
        }
        let grants: Vec<String> = redeemed.iter().map(|(_, (grant, _))| grant.clone()).collect();
        let there: HashSet<(String, String)> = store::list_slots(conn, &grants)?.into_iter().collect();
        for (event, (grant, slot)) in redeemed {
            if !there.contains(&(grant.clone(), slot.clone())) {
                findings.add(log.at(event), Wrong::RedemptionMissing { grant, slot });
            }
        }
        Ok(())
    })
}
