//! Grants against the events of all logs: by tally, and one by one only when the tallies differ.

use std::collections::HashSet;

use super::body::{Body, CheckFacts, ClaimFacts, GrantFacts};
use super::findings::{Findings, Wrong};
use super::logs::Logs;
use super::store::{self, EventRow};
use super::tally::Tally;
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::checks::{KIND, claims_digest};
use crate::ledger::store::GrantRow;

/// A grant as its event tells it, or as its row does: the same fields.
#[derive(PartialEq)]
struct Told {
    /// Bytes that are compared, each with its name.
    fields: [(&'static str, Vec<u8>); 13],
}

impl Told {
    fn by_event(merchant: &str, body: &Body<'_>, check: &CheckFacts<'_>, grant: &GrantFacts<'_>) -> Self {
        let text = |text: &str| text.as_bytes().to_vec();
        let tier = check.tier.as_ref().map(|tier| text(tier)).unwrap_or_default();
        Self {
            fields: [
                ("id", text(&grant.id)),
                ("merchant", text(merchant)),
                ("check", text(&body.about)),
                ("perk", text(&check.perk_id)),
                ("signing key", text(&grant.kid)),
                ("claims", text(&grant.claims_sha256)),
                ("single use", vec![u8::from(grant.single_use)]),
                ("instant", body.at.as_microsecond().to_be_bytes().to_vec()),
                ("expiry", grant.expires_at.as_microsecond().to_be_bytes().to_vec()),
                ("claim `perk`", text(&check.perk)),
                ("claim `tier`", tier),
                ("claim `rule`", check.rule_version.to_be_bytes().to_vec()),
                ("claim `sub`", text(&check.subject)),
            ],
        }
    }

    fn by_row(row: &GrantRow, claims: &ClaimFacts<'_>) -> Self {
        let text = |text: &str| text.as_bytes().to_vec();
        Self {
            fields: [
                ("id", text(&row.id)),
                ("merchant", text(&row.merchant_id)),
                ("check", text(&row.check_id)),
                ("perk", text(&row.perk_id)),
                ("signing key", text(&row.kid)),
                ("claims", text(&claims_digest(&row.claims))),
                ("single use", vec![u8::from(row.single_use)]),
                ("instant", row.granted_at.to_be_bytes().to_vec()),
                ("expiry", row.expires_at.to_be_bytes().to_vec()),
                ("claim `perk`", text(&claims.perk)),
                ("claim `tier`", text(&claims.tier)),
                ("claim `rule`", claims.rule.to_be_bytes().to_vec()),
                ("claim `sub`", text(&claims.sub)),
            ],
        }
    }

    fn add_to(&self, tally: &mut Tally) {
        tally.add(&self.fields.each_ref().map(|(_, bytes)| bytes.as_slice()));
    }

    fn difference(&self, other: &Self) -> Option<&'static str> {
        self.fields.iter().zip(&other.fields).find_map(|((name, a), (_, b))| (a != b).then_some(*name))
    }
}

/// What the events make of the grants.
pub(super) struct Grants {
    empty: Tally,
    by_events: Tally,
}

impl Grants {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { empty: Tally::new(key), by_events: Tally::new(key) }
    }

    pub(super) fn take(&mut self, merchant: &str, body: &Body<'_>, check: &CheckFacts<'_>, grant: &GrantFacts<'_>) {
        Told::by_event(merchant, body, check, grant).add_to(&mut self.by_events);
    }

    /// Compares with all rows; returns how many there are.
    pub(super) fn close(
        self,
        conn: &mut AnyConnection,
        logs: &Logs,
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let mut by_rows = self.empty;
        let (mut rows, mut last) = (0, String::new());
        loop {
            let page = store::list_grants(conn, &last)?;
            for row in &page {
                rows += 1;
                match claims_of(row) {
                    Ok(claims) => Told::by_row(row, &claims).add_to(&mut by_rows),
                    // Told below: it is in the events' tally and not in this one.
                    Err(part) if part == UNREADABLE => {}
                    Err(part) => findings.add(logs.place_of(&row.merchant_id), wrong(row, part)),
                }
            }
            if page.len() < store::PAGE {
                break;
            }
            last = page.into_iter().next_back().map(|row| row.id).unwrap_or_default();
        }
        if !self.by_events.agrees(&by_rows) {
            name_rows(conn, logs, findings)?;
            name_missing(conn, logs, findings)?;
        }
        Ok(rows)
    }
}

const UNREADABLE: &str = "claims";

fn wrong(row: &GrantRow, part: &'static str) -> Wrong {
    Wrong::Grant { grant: row.id.clone(), part }
}

/// The row's claims, once its other columns agree with them.
fn claims_of(row: &GrantRow) -> Result<ClaimFacts<'_>, &'static str> {
    let claims: ClaimFacts<'_> = serde_json::from_str(&row.claims).map_err(|_| UNREADABLE)?;
    let differing = [
        (*claims.aud == *row.audience, "audience"),
        (*claims.jti == *row.id, "claim `jti`"),
        (claims.exp.checked_mul(1_000_000) == Some(row.expires_at), "claim `exp`"),
    ];
    differing.into_iter().find_map(|(is_same, part)| (!is_same).then_some(Err(part))).unwrap_or(Ok(claims))
}

/// Every row whose event differs from it or is not there. `claims_of`'s own complaints stand already.
fn name_rows(conn: &mut AnyConnection, logs: &Logs, findings: &mut Findings) -> Result<(), DatabaseError> {
    let mut last = String::new();
    loop {
        let page = store::list_grants(conn, &last)?;
        let checks: Vec<&str> = page.iter().map(|row| row.check_id.as_str()).collect();
        let events = store::list_events_about(conn, &checks)?;
        for row in &page {
            let of_check: Vec<&EventRow> = events
                .iter()
                .filter(|(merchant, event)| {
                    merchant.as_deref() == Some(&*row.merchant_id) && event.about == row.check_id
                })
                .map(|(_, event)| event)
                .collect();
            if of_check.iter().any(|event| event.body.is_none() && event.kind == KIND) {
                continue;
            }
            let told: Vec<(&EventRow, Told)> =
                of_check.iter().filter_map(|event| Some((*event, told_by(event, row)?))).collect();
            match told.as_slice() {
                [] => findings.add(logs.place_of(&row.merchant_id), Wrong::GrantWithoutEvent { grant: row.id.clone() }),
                [(event, told)] => {
                    let part = match claims_of(row) {
                        Ok(claims) => told.difference(&Told::by_row(row, &claims)),
                        Err(part) => (part == UNREADABLE).then_some(part),
                    };
                    if let Some(part) = part {
                        findings.add(logs.place_at(&row.merchant_id, event), wrong(row, part));
                    }
                }
                [_, (again, _), ..] => {
                    findings.add(logs.place_at(&row.merchant_id, again), wrong(row, "number: it was granted twice"));
                }
            }
        }
        if page.len() < store::PAGE {
            return Ok(());
        }
        last = page.into_iter().next_back().map(|row| row.id).unwrap_or_default();
    }
}

/// What the event says of the row's grant, if it granted that one.
fn told_by(event: &EventRow, row: &GrantRow) -> Option<Told> {
    // The body's kind, not the column's, which may have been changed to mislead.
    let body = Body::parse(event.body.as_deref()?).ok().filter(|body| *body.kind == *KIND)?;
    let check: CheckFacts<'_> = body.facts().ok()?;
    let grant = check.grant.as_ref().filter(|grant| *grant.id == row.id)?;
    Some(Told::by_event(&row.merchant_id, &body, &check, grant))
}

/// Every event whose grant is gone.
fn name_missing(conn: &mut AnyConnection, logs: &Logs, findings: &mut Findings) -> Result<(), DatabaseError> {
    logs.each_page(conn, |conn, log, page| {
        let mut granted = Vec::new();
        for event in page {
            let Some(Ok(body)) = event.body.as_deref().map(Body::parse) else { continue };
            if *body.kind != *KIND {
                continue;
            }
            let check: Option<CheckFacts<'_>> = body.facts().ok();
            if let Some(grant) = check.and_then(|check| check.grant) {
                granted.push((event, grant.id.to_string()));
            }
        }
        let ids: Vec<String> = granted.iter().map(|(_, id)| id.clone()).collect();
        let there: HashSet<String> = store::list_grant_ids(conn, &ids)?.into_iter().collect();
        for (event, grant) in granted {
            if !there.contains(&grant) {
                findings.add(log.place(event), Wrong::GrantMissing { grant });
            }
        }
        Ok(())
    })
}
