//! Who is enrolled with how many accounts, and what they agreed to, held to the events of one merchant.

use std::collections::HashMap;

use serde::Deserialize;

use crate::audit::reader::text::Text;
use crate::audit::verify::findings::{FindingPlace, Findings, Wrong};
use crate::audit::verify::missing_events::Gaps;
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};

/// The facts of `subject.enrolled`, `subject.unenrolled` and `subject.consented`.
#[derive(Deserialize)]
pub(crate) struct EnrolmentFacts<'a> {
    #[serde(borrow)]
    pub subject: Text<'a>,
    pub accounts: Option<i64>,
    pub leaderboard: Option<bool>,
    pub comparison: Option<bool>,
}

/// How a person is enrolled: number of accounts, the list of the best, comparison.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Expected {
    accounts: i64,
    leaderboard: bool,
    comparison: bool,
}

/// The enrolments of one log, by pseudonym.
#[derive(Default)]
pub(crate) struct Enrolments(HashMap<String, Expected>);

impl Enrolments {
    pub(crate) fn enrolled(&mut self, facts: &EnrolmentFacts<'_>) {
        let known = self.0.entry(facts.subject.to_string()).or_default();
        known.accounts = facts.accounts.unwrap_or_default();
    }

    pub(crate) fn consented(&mut self, facts: &EnrolmentFacts<'_>) {
        if let Some(known) = self.0.get_mut(&*facts.subject) {
            known.leaderboard = facts.leaderboard.unwrap_or_default();
            known.comparison = facts.comparison.unwrap_or_default();
        }
    }

    /// The person is not enrolled any more, or was erased.
    pub(crate) fn ended(&mut self, subject: &str) {
        self.0.remove(subject);
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
        let mut add = |subject: String, part| findings.add(FindingPlace::log(log), Wrong::Enrolment { subject, part });
        let mut last = Vec::new();
        loop {
            let page = store::list_enrolments(conn, merchant, &last)?;
            let is_last = page.len() < store::PAGE;
            for (reference, pseudonym, accounts, leaderboard, comparison) in page {
                last = reference;
                match self.0.remove(&pseudonym) {
                    None if !gaps.any() => add(pseudonym, "no event enrols them"),
                    Some(expected) if !gaps.any() && expected != (Expected { accounts, leaderboard, comparison }) => {
                        add(pseudonym, "their rows say something else");
                    }
                    _ => {}
                }
            }
            if is_last {
                break;
            }
        }
        let mut missing: Vec<String> = self.0.into_keys().filter(|_| !gaps.any()).collect();
        missing.sort_unstable();
        for subject in missing {
            add(subject, "their row is missing");
        }
        Ok(())
    }
}
