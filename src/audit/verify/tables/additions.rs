//! Refusals that were added to open cases, against the events of one merchant.

use std::collections::{BTreeMap, BTreeSet};

use super::referrals::Referrals;
use crate::audit::reader::body::{Body, ContestFacts};
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::store::AdditionRow;

/// The additions of one log as its events have them, by the check that was contested.
#[derive(Default)]
pub(crate) struct Additions {
    added: BTreeMap<String, Addition>,
    /// Those whose event is pruned.
    pruned: BTreeSet<String>,
}

struct Addition {
    case: String,
    asked_at: i64,
    added_at: i64,
    added_by: String,
}

impl Additions {
    /// `has_gaps`: events before it are not here, perhaps its case.
    pub(crate) fn added(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        facts: &ContestFacts<'_>,
        (cases, has_gaps): (&mut Referrals, bool),
        findings: &mut Findings,
    ) {
        let Some(case) = &facts.case else {
            findings.add(at, Wrong::Incoherent { reason: "an addition names its case" });
            return;
        };
        if let Err(reason) = cases.add(&body.about, case, facts, has_gaps) {
            findings.add(at, Wrong::Incoherent { reason });
        }
        let addition = Addition {
            case: case.to_string(),
            asked_at: facts.decided_at.as_microsecond(),
            added_at: body.at.0,
            added_by: body.actor.name(),
        };
        if self.added.insert(body.about.to_string(), addition).is_some() {
            findings.add(at, Wrong::Incoherent { reason: "it was referred or contested before" });
        }
    }

    /// A pruned event added the check to some case.
    pub(crate) fn record_pruned(&mut self, check: &str) {
        self.pruned.insert(check.to_owned());
    }

    /// Compares with the merchant's rows.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        let mut last = String::new();
        loop {
            let page = store::list_additions(conn, merchant, &last)?;
            for row in &page {
                let (check, is_pruned) = (row.check_id.clone(), self.pruned.remove(&row.check_id));
                match self.added.remove(&row.check_id) {
                    Some(addition) => {
                        if let Some(part) = addition.difference(row) {
                            findings.add(FindingPlace::log(log), Wrong::Addition { check, part });
                        }
                    }
                    None if is_pruned => {}
                    None => findings.add(FindingPlace::log(log), Wrong::AdditionWithoutEvent { check }),
                }
            }
            match page.into_iter().nth(store::PAGE - 1) {
                Some(row) => last = row.check_id,
                None => break,
            }
        }
        for check in self.added.into_keys().chain(self.pruned) {
            findings.add(FindingPlace::log(log), Wrong::AdditionMissing { check });
        }
        Ok(())
    }
}

impl Addition {
    /// Where the row is not what the event says.
    fn difference(&self, row: &AdditionRow) -> Option<&'static str> {
        let parts = [
            (row.case_id == self.case, "case"),
            (row.asked_at == self.asked_at, "instant of the refusal"),
            (row.added_at == self.added_at, "instant"),
            (row.added_by == self.added_by, "who added it"),
        ];
        parts.into_iter().find_map(|(is_same, part)| (!is_same).then_some(part))
    }
}
