//! Grants against the events of all logs: by tally, and one by one only when the tallies differ.

use std::collections::{HashMap, HashSet};

use crate::audit::reader::body::{Body, CheckFacts, ClaimFacts, Facts, GrantFacts};
use crate::audit::reader::canonical;
use crate::audit::reader::instant::Instant;
use crate::audit::verify::findings::{Findings, Wrong};
use crate::audit::verify::fingerprints::{ByFingerprint, Fingerprints, MarkedOnly};
use crate::audit::verify::logs::Logs;
use crate::audit::verify::store::{self, EventRow, GrantRow};
use crate::audit::verify::tally::{Field, Likeness, RecordedFields, Tally, number, text};
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::grants::correction::CORRECTED;
use crate::ledger::grants::ending::{RELEASED, VOIDED};
use crate::ledger::write::check::{KIND, claims_digest};
use crate::ledger::write::redemption;

type GrantFields<'a> = RecordedFields<'a, 15>;

fn by_event<'a>(
    merchant: &'a str,
    body: &'a Body<'_>,
    check: &'a CheckFacts<'_>,
    grant: &'a GrantFacts<'_>,
) -> GrantFields<'a> {
    RecordedFields {
        fields: [
            ("id", text(&grant.id)),
            ("merchant", text(merchant)),
            ("check", text(&body.about)),
            ("perk", text(&check.perk_id)),
            ("signing key", text(&grant.kid)),
            ("claims", text(&grant.claims_sha256)),
            ("single use", number(grant.single_use.into())),
            ("instant", number(body.at.0)),
            ("expiry", number(grant.expires_at.0)),
            ("claim `perk`", text(&check.perk)),
            ("claim `tier`", text(check.tier.as_deref().unwrap_or_default())),
            ("claim `rule`", number(check.rule_version.into())),
            ("claim `sub`", text(&check.subject)),
            ("claim `party`", number(admitted(check))),
            ("guests", Field::Made(check.guests.map(|guests| guests.column()).unwrap_or_default())),
        ],
    }
}

/// Number of people that were let in, the person included.
fn admitted(check: &CheckFacts<'_>) -> i64 {
    let guests = check.guests.map(|guests| guests.admitted.saturating_add(1));
    i64::try_from(guests.or(check.party).unwrap_or(1)).unwrap_or(i64::MAX)
}

fn by_row<'a>(row: &'a GrantRow, claims: &'a ClaimFacts<'_>) -> GrantFields<'a> {
    RecordedFields {
        fields: [
            ("id", text(&row.id)),
            ("merchant", text(&row.merchant_id)),
            ("check", text(&row.check_id)),
            ("perk", text(&row.perk_id)),
            ("signing key", text(&row.kid)),
            ("claims", Field::Made(claims_digest(&row.claims))),
            ("single use", number(row.single_use.into())),
            ("instant", number(row.granted_at)),
            ("expiry", number(row.expires_at)),
            ("claim `perk`", text(&claims.perk)),
            ("claim `tier`", text(&claims.tier)),
            ("claim `rule`", number(claims.rule.into())),
            ("claim `sub`", text(&claims.sub)),
            ("claim `party`", number(claims.party.unwrap_or(1).into())),
            ("guests", text(row.guests.as_deref().unwrap_or_default())),
        ],
    }
}

/// The grants as the events have them.
pub(crate) struct Grants {
    empty: Tally,
    by_events: Tally,
    fingerprints: Fingerprints,
    /// By grant: what is recorded of its release, and of its void. Also of those whose pruned events record neither.
    ends: ByFingerprint<u128, [End; 2]>,
    /// By grant: a mark of its party as it was corrected last; none where that body is pruned.
    corrected: ByFingerprint<u128, Option<u128>>,
}

/// The events' record of one way in which a grant may end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    /// It did not.
    #[default]
    Never,
    At(i64),
    /// It did, and the body that says when is pruned.
    Once,
}

impl End {
    fn is(self, stored: Option<i64>) -> bool {
        match self {
            Self::Never => stored.is_none(),
            Self::At(at) => stored == Some(at),
            Self::Once => stored.is_some(),
        }
    }
}

impl Grants {
    pub(crate) fn new(fingerprints: &Fingerprints) -> Self {
        Self {
            empty: Tally::new(fingerprints.clone()),
            by_events: Tally::new(fingerprints.clone()),
            fingerprints: fingerprints.clone(),
            ends: ByFingerprint::default(),
            corrected: ByFingerprint::default(),
        }
    }

    /// A grant ended before its time.
    pub(crate) fn end(&mut self, grant: &str, is_void: bool, at: Instant) {
        let [released, voided] = self.ends.entry(self.fingerprints.of(&[grant])).or_default();
        *(if is_void { voided } else { released }) = End::At(at.0);
    }

    /// A grant was corrected; `party` is as its row must have it.
    pub(crate) fn correct(&mut self, grant: &str, party: &str) {
        let mark = self.fingerprints.of(&[party]);
        self.corrected.insert(self.fingerprints.of(&[grant]), Some(mark));
    }

    /// Tells whether the row's party is the one that it was corrected to last. Each row is asked about once.
    fn is_corrected_so(&mut self, row: &GrantRow) -> bool {
        let recorded = match &mut self.corrected {
            // As it nearly always is.
            corrected if corrected.is_empty() => None,
            corrected => corrected.remove(&self.fingerprints.of(&[&row.id])),
        };
        match (recorded, row.corrected.as_deref()) {
            (None, None) | (Some(None), Some(_)) => true,
            (Some(Some(mark)), Some(party)) => mark == self.fingerprints.of(&[party]),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// An event of this kind about the grant is pruned: a release, a void, a correction or a redemption.
    pub(crate) fn record_pruned(&mut self, grant: &str, kind: &str) {
        if kind == CORRECTED {
            self.corrected.entry(self.fingerprints.of(&[grant])).or_default();
        }
        let [released, voided] = self.ends.entry(self.fingerprints.of(&[grant])).or_default();
        match kind {
            RELEASED if *released == End::Never => *released = End::Once,
            VOIDED if *voided == End::Never => *voided = End::Once,
            _ => {}
        }
    }

    /// In what the row ended otherwise than the events say. Each row is asked about once.
    fn ended_otherwise(&mut self, row: &GrantRow) -> Option<&'static str> {
        let [released, voided] = match &mut self.ends {
            // As it nearly always is.
            ends if ends.is_empty() => [End::Never; 2],
            ends => ends.remove(&self.fingerprints.of(&[&row.id])).unwrap_or_default(),
        };
        let ends = [(released, row.released_at, "release"), (voided, row.voided_at, "void")];
        ends.into_iter().find_map(|(recorded, stored, part)| (!recorded.is(stored)).then_some(part))
    }

    pub(crate) fn take(&mut self, merchant: &str, body: &Body<'_>, check: &CheckFacts<'_>, grant: &GrantFacts<'_>) {
        by_event(merchant, body, check, grant).add_to(&mut self.by_events);
    }

    /// Compares with all rows; returns how many there are.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        logs: &Logs,
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let mut by_rows = self.empty.clone();
        let (mut rows, mut last) = (0, String::new());
        loop {
            let page = store::list_grants(conn, &last)?;
            for row in &page {
                rows += 1;
                if let Some(part) = self.ended_otherwise(row) {
                    findings.add(logs.place_of(&row.merchant_id), wrong(row, part));
                }
                if !self.is_corrected_so(row) {
                    findings.add(logs.place_of(&row.merchant_id), wrong(row, "corrected party"));
                }
                match claims_of(row) {
                    Ok(claims) => by_row(row, &claims).add_to(&mut by_rows),
                    // Reported below: it is in the events' tally and not in this one.
                    Err(part) if part == UNREADABLE => {}
                    Err(part) => findings.add(logs.place_of(&row.merchant_id), wrong(row, part)),
                }
            }
            if page.len() < store::PAGE {
                break;
            }
            last = page.into_iter().next_back().map(|row| row.id.to_string()).unwrap_or_default();
        }
        let agrees = self.by_events.agrees(&by_rows);
        if !agrees {
            name_rows(conn, logs, &self.fingerprints, findings)?;
        }
        // What is left ended grants that have no row.
        if !agrees || !self.ends.is_empty() || !self.corrected.is_empty() {
            name_missing(conn, logs, findings)?;
        }
        Ok(rows)
    }
}

const UNREADABLE: &str = "claims";

fn wrong(row: &GrantRow, part: &'static str) -> Wrong {
    Wrong::Grant { grant: row.id.to_string(), part }
}

/// The row's claims, once its other columns agree with them.
fn claims_of(row: &GrantRow) -> Result<ClaimFacts<'_>, &'static str> {
    let claims: ClaimFacts<'_> = match canonical::read(&row.claims) {
        Some(claims) => claims,
        None => serde_json::from_str(&row.claims).map_err(|_| UNREADABLE)?,
    };
    let differing = [
        (claims.aud.as_bytes() == row.audience.as_ref(), "audience"),
        (claims.jti.as_bytes() == row.id.as_ref(), "claim `jti`"),
        (claims.exp.checked_mul(1_000_000) == Some(row.expires_at), "claim `exp`"),
    ];
    differing.into_iter().find_map(|(is_same, part)| (!is_same).then_some(Err(part))).unwrap_or(Ok(claims))
}

/// Every row whose event differs from it or is not there. The findings of `claims_of` are listed already.
fn name_rows(
    conn: &mut AnyConnection,
    logs: &Logs,
    fingerprints: &Fingerprints,
    findings: &mut Findings,
) -> Result<(), DatabaseError> {
    let mut last = String::new();
    // Checks that are pruned, each of which made one grant at most.
    let mut excused = MarkedOnly::default();
    loop {
        let page = store::list_grants(conn, &last)?;
        let checks: Vec<&str> = page.iter().map(|row| &*row.check_id).collect();
        let events = store::list_events_about(conn, &checks)?;
        let mut by_check: HashMap<(Option<&str>, &str), Vec<&EventRow>> = HashMap::new();
        for (merchant, event) in &events {
            by_check.entry((merchant.as_deref(), &event.about)).or_default().push(event);
        }
        for row in &page {
            let of_check =
                by_check.get(&(Some(&row.merchant_id), &row.check_id)).map(Vec::as_slice).unwrap_or_default();
            let without = || Wrong::GrantWithoutEvent { grant: row.id.to_string() };
            if let Some(event) = of_check.iter().find(|event| event.body.is_none() && &*event.kind == KIND) {
                // All that is left to hold it to.
                if !excused.insert(fingerprints.of(&[&row.merchant_id, &row.check_id])) {
                    findings.add(logs.place_at(&row.merchant_id, event), without());
                } else if event.at != row.granted_at {
                    findings.add(logs.place_at(&row.merchant_id, event), wrong(row, "instant"));
                }
                continue;
            }
            let naming: Vec<(&EventRow, Likeness)> =
                of_check.iter().filter_map(|event| Some((*event, compare(event, row)?))).collect();
            match naming.as_slice() {
                [] => findings.add(logs.place_of(&row.merchant_id), without()),
                [(event, Likeness::Differs(part))] => {
                    findings.add(logs.place_at(&row.merchant_id, event), wrong(row, part));
                }
                [(_, Likeness::Same)] => {}
                [_, (again, _), ..] => {
                    findings.add(logs.place_at(&row.merchant_id, again), wrong(row, "number: it was granted twice"));
                }
            }
        }
        if page.len() < store::PAGE {
            return Ok(());
        }
        last = page.into_iter().next_back().map(|row| row.id.to_string()).unwrap_or_default();
    }
}

/// In what the event differs from the row, if it granted that one at all.
fn compare(event: &EventRow, row: &GrantRow) -> Option<Likeness> {
    // The body's kind, not the column's, which may have been changed to mislead.
    let body = Body::parse(event.body.as_deref()?).ok()?;
    let Facts::Check(check) = &body.facts else { return None };
    let grant = check.grant.as_ref().filter(|grant| *grant.id == *row.id)?;
    let recorded = by_event(&row.merchant_id, &body, check, grant);
    Some(match claims_of(row) {
        Ok(claims) => recorded.compare(&by_row(row, &claims)),
        Err(part) if part == UNREADABLE => Likeness::Differs(part),
        // Reported already.
        Err(_) => Likeness::Same,
    })
}

/// Every event whose grant is missing from the table: that of its check, or the first that is left of those about it.
fn name_missing(conn: &mut AnyConnection, logs: &Logs, findings: &mut Findings) -> Result<(), DatabaseError> {
    let mut named = HashSet::new();
    logs.each_page(conn, |conn, log, page| {
        let mut granted = Vec::new();
        for event in page {
            match event.body.as_deref().map(Body::parse) {
                Some(Ok(Body { facts: Facts::Check(CheckFacts { grant: Some(grant), .. }), .. })) => {
                    granted.push((event, grant.id.to_string()));
                }
                // The table says it also of what is pruned.
                _ if matches!(&*event.kind, CORRECTED | RELEASED | VOIDED | redemption::KIND) => {
                    granted.push((event, event.about.to_string()));
                }
                _ => {}
            }
        }
        let ids: Vec<String> = granted.iter().map(|(_, id)| id.clone()).collect();
        let there: HashSet<String> = store::list_grant_ids(conn, &ids)?.into_iter().collect();
        for (event, grant) in granted {
            if !there.contains(&grant) && named.insert(grant.clone()) {
                findings.add(log.at(event), Wrong::GrantMissing { grant });
            }
        }
        Ok(())
    })
}
