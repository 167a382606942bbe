//! Perks and the versions of their rules against the events of one merchant.

use std::collections::BTreeMap;

use super::approvals::{Approvals, SignedStep};
use super::versions::{STEPS, Version, hash_of};
use crate::audit::reader::body::{Body, CheckFacts, PerkFacts, RuleFacts};
use crate::audit::reader::instant::Instant;
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::store::{self, PerkRow};
use crate::database::{AnyConnection, DatabaseError};

/// The perks of one log as its events have them.
#[derive(Default)]
pub(crate) struct Rules {
    perks: BTreeMap<String, Perk>,
}

#[derive(Default)]
struct Perk {
    /// None when no event that is here created it.
    slug: Option<String>,
    /// None where no event says it.
    name: Option<String>,
    purpose: Option<String>,
    created: Option<SignedStep>,
    /// None before anybody paused, resumed or retired it.
    status: Option<(&'static str, SignedStep)>,
    versions: BTreeMap<i32, Version>,
    /// The highest number that was given.
    latest: i32,
    published: Option<i32>,
    /// The body of an event about it is pruned.
    has_pruned: bool,
}

/// The counts of what was compared.
#[derive(Default)]
pub(crate) struct Compared {
    pub rows: u64,
    /// Number of those that could not be held to who did what, and when: events that say it are pruned.
    pub unheld: u64,
}

impl Rules {
    pub(crate) fn named(&mut self, body: &Body<'_>, facts: &PerkFacts<'_>) {
        let known = self.perks.entry(body.about.to_string()).or_default();
        known.slug = Some(facts.perk.to_string());
        known.name = facts.name.as_ref().map(|name| name.to_string()).or(known.name.take());
        known.purpose = facts.purpose.as_ref().map(|it| it.to_string()).or(known.purpose.take());
        if &*body.kind == "perk.created" {
            known.created = Some(SignedStep::of(body));
        }
    }

    pub(crate) fn stands(&mut self, body: &Body<'_>) {
        let status = match &*body.kind {
            "perk.paused" => "paused",
            "perk.resumed" => "active",
            _ => "retired",
        };
        self.perks.entry(body.about.to_string()).or_default().status = Some((status, SignedStep::of(body)));
    }

    /// The body of an event about the perk is pruned.
    pub(crate) fn record_pruned(&mut self, perk: &str) {
        if let Some(known) = self.perks.get_mut(perk) {
            known.has_pruned = true;
        }
    }

    /// A step of a version. `has_gaps`: events before it are not here, perhaps the draft's.
    pub(crate) fn take(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        rule: &RuleFacts<'_>,
        approvals: &Approvals,
        has_gaps: bool,
        findings: &mut Findings,
    ) {
        let (kind, perk, step) = (&*body.kind, &*body.about, SignedStep::of(body));
        let known = self.perks.entry(perk.to_owned()).or_default();
        if kind == "rule.drafted" {
            known.latest = known.latest.max(rule.version);
            known.versions.insert(rule.version, Version::drafted(rule, step));
            return;
        }
        if kind == "rule.deleted" {
            let pruned = known.versions.remove(&rule.version);
            if pruned.is_some_and(|it| it.status == "draft") || has_gaps {
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
                if approvals.are_required()
                    && let Some(wrong) = alone(perk, version, (kind, rule.version, &step), approvals, has_gaps)
                {
                    findings.add(at, wrong);
                }
                let is_same = *version.hash == *rule.rule_hash || kind == "rule.edited";
                if !is_same || !(before.contains(&version.status) || has_gaps) {
                    let (perk, step) = (perk.to_owned(), kind.to_owned());
                    let wrong = Wrong::RuleStep { perk, version: rule.version, step, from: version.status };
                    findings.add(at, wrong);
                }
                version.take(kind, after, rule, step);
            }
            None if has_gaps => {
                let mut version = Version::known_since(rule);
                version.take(kind, after, rule, step);
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
    pub(crate) fn cited(
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
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        findings: &mut Findings,
    ) -> Result<Compared, DatabaseError> {
        let (mut compared, mut last) = (Compared::default(), String::new());
        loop {
            let page = store::list_perks(conn, merchant, &last)?;
            for row in &page {
                let known = self.perks.remove(&row.id);
                let is_known = known.as_ref().is_some_and(|perk| perk.slug.is_some());
                let perk = known.unwrap_or_default();
                if !is_known {
                    findings.add(FindingPlace::log(log), Wrong::PerkWithoutEvent { perk: row.id.clone() });
                } else if perk.slug.as_ref().is_some_and(|slug| *slug != row.slug) {
                    findings.add(FindingPlace::log(log), Wrong::Perk { perk: row.id.clone(), part: "name" });
                }
                for part in perk.differences(row) {
                    findings.add(FindingPlace::log(log), Wrong::Perk { perk: row.id.clone(), part });
                }
                if perk.published != row.published_version {
                    findings
                        .add(FindingPlace::log(log), Wrong::Perk { perk: row.id.clone(), part: "published version" });
                }
                compared.unheld += u64::from(perk.has_pruned);
                perk.close(conn, (log, merchant), &row.id, &mut compared, findings)?;
            }
            if page.len() < store::PAGE {
                break;
            }
            last = page.into_iter().next_back().map(|row| row.id).unwrap_or_default();
        }
        for perk in self.perks.into_keys() {
            findings.add(FindingPlace::log(log), Wrong::PerkMissing { perk });
        }
        Ok(compared)
    }
}

/// The finding about what one person did alone where two are asked for.
fn alone(
    perk: &str,
    known: &Version,
    (kind, version, step): (&str, i32, &SignedStep),
    approvals: &Approvals,
    has_gaps: bool,
) -> Option<Wrong> {
    match kind {
        "rule.approved" => known.objection(approvals, step).map(|reason| {
            let (perk, key) = (perk.to_owned(), step.by.clone());
            Wrong::SelfApproval { perk, version, key, reason }
        }),
        // What was scheduled before two were asked for still takes its turn.
        "rule.published" if known.status == "scheduled" => None,
        "rule.scheduled" | "rule.published" => {
            // Of a part of a log the approval may not be here.
            let is_known = known.was_approved() || !has_gaps;
            (is_known && !known.is_approved(approvals)).then(|| Wrong::RuleAlone { perk: perk.to_owned(), version })
        }
        _ => None,
    }
}

impl Perk {
    fn differences(&self, row: &PerkRow) -> impl Iterator<Item = &'static str> {
        let says = |said: Option<&str>, is: &str| said.is_none_or(|said| said == is);
        // Where nobody touched it, it is as it was made.
        let (status, stood) = self.status.as_ref().map_or(("active", None), |(status, step)| (*status, Some(step)));
        let is_held = !self.has_pruned;
        [
            (says(self.name.as_deref(), &row.name), "title"),
            (says(self.purpose.as_deref(), &row.purpose), "purpose"),
            (status == row.status, "status"),
            (!is_held || SignedStep::is_by(stood, row.status_by.as_deref()), "who set its status"),
            (!is_held || SignedStep::is_at(stood, row.status_at), "instant of its status"),
            (
                self.created.as_ref().is_none_or(|step| SignedStep::is_at(Some(step), Some(row.created_at))),
                "instant of making",
            ),
            (!is_held || self.latest == row.latest_version, "latest version"),
        ]
        .into_iter()
        .filter_map(|(is_same, part)| (!is_same).then_some(part))
    }

    fn close(
        mut self,
        conn: &mut AnyConnection,
        (log, merchant): (&str, &str),
        perk: &str,
        compared: &mut Compared,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        for row in store::list_rules(conn, perk)? {
            let version = row.version;
            let mut differs = |wrong| findings.add(FindingPlace::log(log), wrong);
            compared.rows += 1;
            if hash_of(&row.rule) != row.rule_hash {
                differs(Wrong::RuleText { perk: perk.to_owned(), version });
            }
            let Some(known) = self.versions.remove(&version) else {
                differs(Wrong::RuleWithoutEvent { perk: perk.to_owned(), version });
                continue;
            };
            compared.unheld += u64::from(self.has_pruned);
            let steps = known.step_differences(&row).filter(|_| !self.has_pruned);
            for part in known.differences(&row, merchant).chain(steps) {
                differs(Wrong::Rule { perk: perk.to_owned(), version, part });
            }
        }
        for version in self.versions.into_keys() {
            findings.add(FindingPlace::log(log), Wrong::RuleMissing { perk: perk.to_owned(), version });
        }
        Ok(())
    }
}
