//! Perks and the versions of their rules against the events of one merchant.

use std::collections::BTreeMap;

use aws_lc_rs::digest;

use super::body::{CheckFacts, PerkFacts, RuleFacts};
use super::findings::{At, Findings, Place, Wrong};
use super::instant::Instant;
use super::store::{self, PerkRow, RuleRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::subject::hex;

/// What the events of one log make of its perks.
#[derive(Default)]
pub(super) struct Rules {
    perks: BTreeMap<String, Perk>,
    /// Whether nobody may let a version decide alone; none where no event says it.
    requires_two: Option<bool>,
}

#[derive(Default)]
struct Perk {
    /// None when no event that is here created it.
    slug: Option<String>,
    /// None where no event says it.
    name: Option<String>,
    purpose: Option<String>,
    /// None before anybody paused, resumed or retired it.
    status: Option<&'static str>,
    versions: BTreeMap<i32, Version>,
    published: Option<i32>,
}

struct Version {
    hash: String,
    status: &'static str,
    was_approved: bool,
    /// When a scheduled one decides from.
    from: Option<Instant>,
}

/// What each step makes of a version, and of which it can be taken. Written apart from `perks::life`:
/// an auditor that shared its table would share its mistakes.
const STEPS: [(&str, &[&str], &str); 9] = [
    ("rule.edited", &["draft"], "draft"),
    ("rule.submitted", &["draft"], "in_review"),
    ("rule.approved", &["in_review"], "approved"),
    ("rule.rejected", &["in_review", "approved"], "draft"),
    ("rule.withdrawn", &["in_review", "approved"], "draft"),
    ("rule.scheduled", &["draft", "approved"], "scheduled"),
    ("rule.unscheduled", &["scheduled"], "draft"),
    ("rule.published", &["draft", "approved", "scheduled"], "published"),
    ("rule.rolled_back", &["in_review", "published"], ""),
];

impl Rules {
    pub(super) fn named(&mut self, perk: &str, facts: &PerkFacts<'_>) {
        let known = self.perks.entry(perk.to_owned()).or_default();
        known.slug = Some(facts.perk.to_string());
        known.name = facts.name.as_ref().map(|name| name.to_string()).or(known.name.take());
        known.purpose = facts.purpose.as_ref().map(|it| it.to_string()).or(known.purpose.take());
    }

    pub(super) const fn requires(&mut self, two: bool) {
        self.requires_two = Some(two);
    }

    pub(super) fn stands(&mut self, perk: &str, kind: &str) {
        let status = match kind {
            "perk.paused" => "paused",
            "perk.resumed" => "active",
            _ => "retired",
        };
        self.perks.entry(perk.to_owned()).or_default().status = Some(status);
    }

    /// A step of a version. `has_gaps`: events before it are not here, perhaps the draft's.
    pub(super) fn take(
        &mut self,
        at: At<'_>,
        kind: &str,
        perk: &str,
        rule: &RuleFacts<'_>,
        has_gaps: bool,
        findings: &mut Findings,
    ) {
        let known = self.perks.entry(perk.to_owned()).or_default();
        let fresh = |status| Version { hash: rule.rule_hash.to_string(), status, was_approved: false, from: None };
        if kind == "rule.drafted" {
            known.versions.insert(rule.version, fresh("draft"));
            return;
        }
        if kind == "rule.deleted" {
            let gone = known.versions.remove(&rule.version);
            if gone.is_some_and(|it| it.status == "draft") || has_gaps {
                return;
            }
            let part = "draft, which it was deleted as";
            findings.add(at, Wrong::Rule { perk: perk.to_owned(), version: rule.version, part });
            return;
        }
        let Some((_, before, after)) = STEPS.into_iter().find(|(name, ..)| *name == kind) else {
            return;
        };
        match known.versions.get_mut(&rule.version) {
            Some(version) => {
                // What was scheduled before two were asked for still takes its turn.
                let lets_decide =
                    kind == "rule.scheduled" || (kind == "rule.published" && version.status != "scheduled");
                if lets_decide && self.requires_two == Some(true) && !version.was_approved && !has_gaps {
                    findings.add(at, Wrong::RuleAlone { perk: perk.to_owned(), version: rule.version });
                }
                let is_same = *version.hash == *rule.rule_hash || kind == "rule.edited";
                if !is_same || !(before.contains(&version.status) || has_gaps) {
                    let (perk, step) = (perk.to_owned(), kind.to_owned());
                    let wrong = Wrong::RuleStep { perk, version: rule.version, step, from: version.status };
                    findings.add(at, wrong);
                }
                version.take(kind, after, rule);
            }
            None if has_gaps => {
                let mut version = fresh("draft");
                version.take(kind, after, rule);
                known.versions.insert(rule.version, version);
            }
            None => {
                let part = "draft, which it was made from";
                findings.add(at, Wrong::Rule { perk: perk.to_owned(), version: rule.version, part });
            }
        }
        if after == "published"
            && let Some(before) = known.published.replace(rule.version).filter(|before| *before != rule.version)
            && let Some(before) = known.versions.get_mut(&before)
        {
            before.status = "retired";
        }
    }

    /// A decision cites, by its hash, a version that was published before it, or scheduled for before.
    pub(super) fn cited(
        &self,
        at: At<'_>,
        decided: Instant,
        check: &CheckFacts<'_>,
        has_gaps: bool,
        findings: &mut Findings,
    ) {
        let version = self.perks.get(&*check.perk_id).and_then(|perk| perk.versions.get(&check.rule_version));
        let fits = match version {
            Some(version) => *version.hash == *check.rule_hash && (version.decides(decided) || has_gaps),
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
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let said = self.requires_two.unwrap_or_default();
        let stored = store::find_four_eyes(conn, merchant)?.unwrap_or_default();
        if said != stored {
            findings.add(Place::log(log), Wrong::FourEyes { said });
        }
        let (mut rows, mut last) = (0, String::new());
        loop {
            let page = store::list_perks(conn, merchant, &last)?;
            for row in &page {
                let known = self.perks.remove(&row.id);
                let is_known = known.as_ref().is_some_and(|perk| perk.slug.is_some());
                let perk = known.unwrap_or_default();
                if !is_known {
                    findings.add(Place::log(log), Wrong::PerkWithoutEvent { perk: row.id.clone() });
                } else if perk.slug.as_ref().is_some_and(|slug| *slug != row.slug) {
                    findings.add(Place::log(log), Wrong::Perk { perk: row.id.clone(), part: "name" });
                }
                if let Some(part) = perk.difference(row) {
                    findings.add(Place::log(log), Wrong::Perk { perk: row.id.clone(), part });
                }
                if perk.published != row.published_version {
                    findings.add(Place::log(log), Wrong::Perk { perk: row.id.clone(), part: "published version" });
                }
                rows += perk.close(conn, log, merchant, &row.id, findings)?;
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
    fn difference(&self, row: &PerkRow) -> Option<&'static str> {
        let says = |said: Option<&str>, is: &str| said.is_none_or(|said| said == is);
        [
            (says(self.name.as_deref(), &row.name), "title"),
            (says(self.purpose.as_deref(), &row.purpose), "purpose"),
            // Where nobody touched it, it is as it was made.
            (self.status.unwrap_or("active") == row.status, "standing"),
        ]
        .into_iter()
        .find_map(|(is_same, part)| (!is_same).then_some(part))
    }

    fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        perk: &str,
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
    fn take(&mut self, kind: &str, after: &'static str, rule: &RuleFacts<'_>) {
        self.from = rule.from.filter(|_| kind == "rule.scheduled");
        match kind {
            "rule.edited" => self.hash = rule.rule_hash.to_string(),
            "rule.approved" => self.was_approved = true,
            "rule.rejected" | "rule.withdrawn" => self.was_approved = false,
            _ => {}
        }
        self.status = match kind {
            "rule.rolled_back" => self.status,
            "rule.unscheduled" if self.was_approved => "approved",
            _ => after,
        };
    }

    /// Whether a check at `at` may have been decided by it. One that has been replaced since may
    /// decide a moment longer on a replica that has not heard yet.
    fn decides(&self, at: Instant) -> bool {
        matches!(self.status, "published" | "retired") || self.from.is_some_and(|from| from <= at)
    }

    fn difference(&self, row: &RuleRow, merchant: &str) -> Option<&'static str> {
        let from = self.from.map(|from| from.0);
        [
            (row.merchant_id == merchant, "merchant"),
            (row.rule_hash == self.hash, "hash"),
            (row.status == self.status, "status"),
            (row.status != "scheduled" || row.scheduled_at == from, "schedule"),
        ]
        .into_iter()
        .find_map(|(is_same, part)| (!is_same).then_some(part))
    }
}

/// How a rule goes by its canonical text.
fn hash_of(rule: &str) -> String {
    format!("sha256:{}", hex(digest::digest(&digest::SHA256, rule.as_bytes()).as_ref()))
}
