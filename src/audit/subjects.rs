//! Who the events of one merchant are about, against the rows that name people: everybody is named there,
//! or was erased, and the log says so.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::body::Text;
use super::findings::{At, Findings, Place, Wrong};
use super::store;
use crate::database::{AnyConnection, DatabaseError};

/// The facts of `subject.erased`.
#[derive(Deserialize)]
pub(super) struct ErasedFacts<'a> {
    /// None when no event was about the person.
    #[serde(borrow)]
    pub subject: Option<Text<'a>>,
}

/// What the events of one log make of its people: 40 bytes for each.
#[derive(Default)]
pub(super) struct Subjects {
    /// By pseudonym: the first check that was about them.
    seen: HashMap<Box<str>, i64>,
    /// By pseudonym: where the log says that they were erased.
    erased: BTreeMap<String, i64>,
    /// Erasures, also of people whom no event is about.
    erasures: u64,
}

impl Subjects {
    pub(super) fn seen(&mut self, at: At<'_>, pseudonym: &str) {
        if !self.seen.contains_key(pseudonym) {
            self.seen.insert(pseudonym.into(), at.index);
        }
    }

    pub(super) fn erased(&mut self, at: At<'_>, facts: &ErasedFacts<'_>) {
        self.erasures += 1;
        if let Some(pseudonym) = &facts.subject {
            self.erased.insert(pseudonym.to_string(), at.index);
        }
    }

    /// Compares with the merchant's rows; returns how many people were erased.
    pub(super) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        has_gaps: bool,
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let mut last = Vec::new();
        loop {
            let page = store::list_subjects(conn, merchant, &last)?;
            for (_, pseudonym) in &page {
                let subject = pseudonym.clone();
                if let Some(index) = self.erased.get(pseudonym) {
                    findings.add(Place::index(log, *index), Wrong::SubjectKept { subject });
                } else if self.seen.remove(pseudonym.as_str()).is_none() && !has_gaps {
                    findings.add(Place::log(log), Wrong::SubjectWithoutEvent { subject });
                }
            }
            match page.into_iter().nth(store::PAGE - 1) {
                Some((reference, _)) => last = reference,
                None => break,
            }
        }
        let mut gone: Vec<(i64, Box<str>)> = self
            .seen
            .into_iter()
            .filter(|(pseudonym, _)| !self.erased.contains_key(&**pseudonym))
            .map(|(pseudonym, index)| (index, pseudonym))
            .collect();
        gone.sort_unstable();
        for (index, subject) in gone {
            findings.add(Place::index(log, index), Wrong::SubjectMissing { subject: subject.into() });
        }
        Ok(self.erasures)
    }
}
