//! Perks and the versions of their rules against the events of one merchant.

use std::collections::BTreeMap;

use aws_lc_rs::digest;

use super::body::{CheckFacts, RuleFacts};
use super::findings::{At, Findings, Place, Wrong};
use super::store::{self, RuleRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::subject::hex;

/// What the events of one log make of its perks.
#[derive(Default)]
pub(super) struct Rules {
    perks: BTreeMap<String, Perk>,
}

#[derive(Default)]
struct Perk {
    /// None when the event that created it is pruned.
    slug: Option<String>,
    versions: BTreeMap<i32, Version>,
    published: Option<i32>,
}

struct Version {
    hash: String,
    is_published: bool,
}

impl Rules {
    pub(super) fn created(&mut self, perk: &str, slug: &str) {
        self.perks.entry(perk.to_owned()).or_default().slug = Some(slug.to_owned());
    }

    pub(super) fn drafted(&mut self, perk: &str, rule: &RuleFacts<'_>) {
        let version = Version { hash: rule.rule_hash.to_string(), is_published: false };
        self.perks.entry(perk.to_owned()).or_default().versions.insert(rule.version, version);
    }

    /// `has_gaps`: bodies before it are pruned, perhaps the draft's.
    pub(super) fn published(
        &mut self,
        at: At<'_>,
        perk: &str,
        rule: &RuleFacts<'_>,
        has_gaps: bool,
        findings: &mut Findings,
    ) {
        let known = self.perks.entry(perk.to_owned()).or_default();
        known.published = Some(rule.version);
        match known.versions.get_mut(&rule.version) {
            Some(version) if *version.hash == *rule.rule_hash => version.is_published = true,
            None if has_gaps => {
                let version = Version { hash: rule.rule_hash.to_string(), is_published: true };
                known.versions.insert(rule.version, version);
            }
            _ => findings.add(
                at,
                Wrong::Rule {
                    perk: perk.to_owned(),
                    version: rule.version,
                    part: "draft, which it was published from",
                },
            ),
        }
    }

    /// A decision cites a version that was published before it, by its hash.
    pub(super) fn cited(&self, at: At<'_>, check: &CheckFacts<'_>, has_gaps: bool, findings: &mut Findings) {
        let version = self.perks.get(&*check.perk_id).and_then(|perk| perk.versions.get(&check.rule_version));
        let fits = match version {
            Some(version) => *version.hash == *check.rule_hash && (version.is_published || has_gaps),
            None => has_gaps,
        };
        if !fits {
            let wrong = Wrong::RuleCited { perk: check.perk_id.to_string(), version: check.rule_version };
            findings.add(at, wrong);
        }
    }

    /// Compares with the merchant's perks and rules; returns how many versions there are.
    pub(super) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        has_gaps: bool,
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let (mut rows, mut last) = (0, String::new());
        loop {
            let page = store::list_perks(conn, merchant, &last)?;
            for row in &page {
                let known = self.perks.remove(&row.id);
                let is_known = known.as_ref().is_some_and(|perk| perk.slug.is_some());
                let perk = known.unwrap_or_default();
                if !is_known && !has_gaps {
                    findings.add(Place::log(log), Wrong::PerkWithoutEvent { perk: row.id.clone() });
                } else if perk.slug.as_ref().is_some_and(|slug| *slug != row.slug) {
                    findings.add(Place::log(log), Wrong::Perk { perk: row.id.clone(), part: "name" });
                }
                if perk.published != row.published_version && !(has_gaps && perk.published.is_none()) {
                    findings.add(Place::log(log), Wrong::Perk { perk: row.id.clone(), part: "published version" });
                }
                rows += perk.close(conn, log, merchant, &row.id, has_gaps, findings)?;
            }
            if page.len() < store::PAGE {
                break;
            }
            last = page.into_iter().next_back().map(|row| row.id).unwrap_or_default();
        }
        for perk in self.perks.into_keys() {
            findings.add(Place::log(log), Wrong::PerkMissing { perk });
        }
        Ok(rows)
    }
}

impl Perk {
    fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        perk: &str,
        has_gaps: bool,
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let rows = store::list_rules(conn, perk)?;
        for row in &rows {
            let version = row.version;
            if hash_of(&row.rule) != row.rule_hash {
                findings.add(Place::log(log), Wrong::RuleText { perk: perk.to_owned(), version });
            }
            match self.versions.remove(&version) {
                Some(known) => {
                    if let Some(part) = known.difference(row, merchant) {
                        findings.add(Place::log(log), Wrong::Rule { perk: perk.to_owned(), version, part });
                    }
                }
                None if has_gaps => {}
                None => findings.add(Place::log(log), Wrong::RuleWithoutEvent { perk: perk.to_owned(), version }),
            }
        }
        for version in self.versions.into_keys() {
            findings.add(Place::log(log), Wrong::RuleMissing { perk: perk.to_owned(), version });
        }
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }
}

impl Version {
    fn difference(&self, row: &RuleRow, merchant: &str) -> Option<&'static str> {
        let was_published = matches!(row.status.as_str(), "published" | "retired");
        [
            (row.merchant_id == merchant, "merchant"),
            (row.rule_hash == self.hash, "hash"),
            (was_published == self.is_published, "status"),
        ]
        .into_iter()
        .find_map(|(is_same, part)| (!is_same).then_some(part))
    }
}

/// How a rule goes by its canonical text.
fn hash_of(rule: &str) -> String {
    format!("sha256:{}", hex(digest::digest(&digest::SHA256, rule.as_bytes()).as_ref()))
}
