//! API keys against the events of one log.

use std::collections::BTreeMap;

use super::body::KeyFacts;
use super::findings::{Findings, Place, Wrong};
use super::store::{self, KeyRow};
use crate::clock::from_micros;
use crate::database::{AnyConnection, DatabaseError};

/// What the events of one log make of its owner's keys.
#[derive(Default)]
pub(super) struct Keys {
    known: BTreeMap<String, Known>,
}

struct Known {
    facts: KeyFacts,
    is_revoked: bool,
}

impl Keys {
    pub(super) fn created(&mut self, key: &str, facts: KeyFacts) {
        self.known.insert(key.to_owned(), Known { facts, is_revoked: false });
    }

    /// `facts` are those it was created with; its creation may lie outside of what was exported.
    pub(super) fn revoked(&mut self, key: &str, facts: KeyFacts) {
        self.known.entry(key.to_owned()).or_insert(Known { facts, is_revoked: true }).is_revoked = true;
    }

    /// Compares with the owner's keys; returns how many there are.
    pub(super) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: Option<&str>,
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let (mut rows, mut last) = (0, String::new());
        loop {
            let page = store::list_keys(conn, merchant, &last)?;
            for row in &page {
                rows += 1;
                match self.known.remove(&row.id) {
                    Some(known) => {
                        if let Some(part) = known.difference(row) {
                            findings.add(Place::log(log), Wrong::Key { key: row.id.clone(), part });
                        }
                    }
                    None => findings.add(Place::log(log), Wrong::KeyWithoutEvent { key: row.id.clone() }),
                }
            }
            if page.len() < store::PAGE {
                break;
            }
            last = page.into_iter().next_back().map(|row| row.id).unwrap_or_default();
        }
        for key in self.known.into_keys() {
            findings.add(Place::log(log), Wrong::KeyMissing { key });
        }
        Ok(rows)
    }
}

impl Known {
    /// What differs. Instants of creation and revocation are not compared: the event's is taken a
    /// moment after the row's.
    fn difference(&self, row: &KeyRow) -> Option<&'static str> {
        let facts = &self.facts;
        [
            (row.role == facts.role, "role"),
            (row.label == facts.label, "label"),
            (row.location == facts.location, "location"),
            (row.kiosk == facts.kiosk, "kiosk"),
            (row.audience == facts.audience, "audience"),
            (row.expires_at.map(from_micros) == facts.expires_at, "expiry"),
            (row.revoked_at.is_some() == self.is_revoked, "revocation"),
        ]
        .into_iter()
        .find_map(|(is_same, part)| (!is_same).then_some(part))
    }
}
