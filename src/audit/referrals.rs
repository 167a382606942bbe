//! What rules referred to a person, and how it was decided, against the events of one merchant.

use std::collections::{BTreeMap, BTreeSet};

use super::body::{Body, CheckFacts, ContestFacts, ReferralFacts};
use super::findings::{At, Findings, Place, Wrong};
use super::gaps::Gaps;
use super::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::store::ReferralRow;
use crate::ledger::{checks, contests};

const OPEN: &str = "open";

/// What the events of one log make of its referrals.
#[derive(Default)]
pub(super) struct Referrals {
    /// By the check that was referred.
    referred: BTreeMap<String, Referral>,
    /// By the check that was referred: the one that a person granted in its place, and its grant.
    granted: BTreeMap<String, (String, Option<String>)>,
    /// Checks that pruned events opened a case about, or decided.
    gone: BTreeSet<String>,
}

struct Referral {
    /// None when the event of its check is pruned.
    asked: Option<Asked>,
    /// When it was contested, and by whom.
    contested: Option<(i64, String)>,
    decided: Option<Decided>,
}

struct Asked {
    perk_id: String,
    perk: String,
    rule_version: i32,
    subject: String,
    at: i64,
}

struct Decided {
    status: String,
    at: i64,
    by: Option<String>,
    granted: Option<(String, Option<String>)>,
}

impl Referrals {
    pub(super) fn asked(&mut self, body: &Body<'_>, check: &CheckFacts<'_>) {
        if let Some(asked) = &check.resolves {
            let grant = check.grant.as_ref().map(|grant| grant.id.to_string());
            self.granted.insert(asked.to_string(), (body.about.to_string(), grant));
        }
        if &*check.decision == "referred" {
            let asked = Asked {
                perk_id: check.perk_id.to_string(),
                perk: check.perk.to_string(),
                rule_version: check.rule_version,
                subject: check.subject.to_string(),
                at: body.at.0,
            };
            self.referred
                .insert(body.about.to_string(), Referral { asked: Some(asked), contested: None, decided: None });
        }
    }

    /// A pruned event said something of it.
    pub(super) fn gone(&mut self, check: &str) {
        self.gone.insert(check.to_owned());
    }

    pub(super) fn contested(&mut self, at: At<'_>, body: &Body<'_>, facts: &ContestFacts<'_>, findings: &mut Findings) {
        let asked = Asked {
            perk_id: facts.perk_id.to_string(),
            perk: facts.perk.to_string(),
            rule_version: facts.rule_version,
            subject: facts.subject.to_string(),
            at: facts.decided_at.as_microsecond(),
        };
        let by = body.actor.key.as_deref().unwrap_or("cli").to_owned();
        let contested = Some((body.at.0, by));
        let before =
            self.referred.insert(body.about.to_string(), Referral { asked: Some(asked), contested, decided: None });
        if before.is_some() {
            findings.add(at, Wrong::Incoherent { reason: "it was referred or contested before" });
        }
    }

    /// `has_gaps`: events before it are not here, perhaps the check's.
    pub(super) fn decided(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        facts: &ReferralFacts<'_>,
        has_gaps: bool,
        findings: &mut Findings,
    ) {
        let mut incoherent = |reason| findings.add(at, Wrong::Incoherent { reason });
        let named = facts.check.as_ref().map(|check| (check.to_string(), facts.grant.as_deref().map(str::to_owned)));
        let granted = self.granted.remove(&*body.about);
        match &*facts.decision {
            "granted" if named.is_none() => incoherent("a referral that was granted names its check"),
            "granted" if granted != named && !(granted.is_none() && has_gaps) => {
                incoherent("what a person granted is not the check before it");
            }
            "denied" | "closed" if named.is_some() || granted.is_some() => {
                incoherent("what a person denied was granted");
            }
            decision if (decision == "closed") != (*body.kind == *contests::CLOSED) => {
                incoherent("an erasure closes a contest, and nobody else");
            }
            "granted" | "denied" | "closed" => {}
            _ => incoherent("a person grants or denies"),
        }
        let decided = Decided {
            status: facts.decision.to_string(),
            at: body.at.0,
            by: body.actor.key.as_deref().map(str::to_owned),
            granted: named,
        };
        match self.referred.get_mut(&*body.about) {
            Some(referral) if referral.decided.is_none() => referral.decided = Some(decided),
            None if has_gaps => {
                self.referred
                    .insert(body.about.to_string(), Referral { asked: None, contested: None, decided: Some(decided) });
            }
            Some(_) => incoherent("it was decided before"),
            None => incoherent("nothing was referred that it decides"),
        }
    }

    /// Compares with the merchant's referrals; returns how many there are.
    pub(super) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        gaps: &Gaps,
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let (mut rows, mut last) = (0, String::new());
        loop {
            let page = store::list_referrals(conn, merchant, &last)?;
            let mut unknown = Vec::new();
            for row in &page {
                rows += 1;
                self.gone.remove(&row.check_id);
                match self.referred.remove(&row.check_id).map(|referral| referral.difference(row)) {
                    Some(Some(part)) => {
                        let check = row.check_id.clone();
                        findings.add(Place::log(log), Wrong::Referral { check, part });
                    }
                    Some(None) => {}
                    None => unknown.push(row.check_id.as_str()),
                }
            }
            let pruned = if gaps.any() { pruned_checks(conn, merchant, &unknown)? } else { BTreeSet::new() };
            for check in unknown.into_iter().filter(|check| !pruned.contains(*check)) {
                findings.add(Place::log(log), Wrong::ReferralWithoutEvent { check: check.to_owned() });
            }
            if page.len() < store::PAGE {
                break;
            }
            last = page.into_iter().next_back().map(|row| row.check_id).unwrap_or_default();
        }
        for check in self.referred.into_keys().chain(self.gone) {
            findings.add(Place::log(log), Wrong::ReferralMissing { check });
        }
        // The decision that follows it may be pruned.
        for _ in self.granted.iter().filter(|_| !gaps.any()) {
            let reason = "a person is said to have granted a check, and no decision of theirs follows";
            findings.add(Place::log(log), Wrong::Incoherent { reason });
        }
        Ok(rows)
    }
}

/// Those of these checks whose events are pruned, by what the table still says of them.
fn pruned_checks(conn: &mut AnyConnection, merchant: &str, checks: &[&str]) -> Result<BTreeSet<String>, DatabaseError> {
    let events = store::list_events_about(conn, checks)?.into_iter();
    let pruned = events.filter(|(owner, event)| {
        owner.as_deref() == Some(merchant) && event.body.is_none() && *event.kind == *checks::KIND
    });
    Ok(pruned.map(|(_, event)| event.about.to_string()).collect())
}

impl Referral {
    fn difference(&self, row: &ReferralRow) -> Option<&'static str> {
        let asked = self.asked.iter().flat_map(|asked| {
            [
                (row.perk_id == asked.perk_id && row.perk == asked.perk, "perk"),
                (row.rule_version == asked.rule_version, "rule version"),
                (row.subject == asked.subject, "subject"),
                (row.created_at == asked.at, "instant"),
                (row.contested_at == self.contested.as_ref().map(|(at, _)| *at), "instant of contest"),
                (row.contested_by.as_deref() == self.contested.as_ref().map(|(_, by)| by.as_str()), "who contested"),
            ]
        });
        let decided = self.decided.as_ref();
        let (check, grant) = decided.and_then(|decided| decided.granted.clone()).unzip();
        let ruled = [
            (row.status == decided.map_or(OPEN, |decided| &decided.status), "status"),
            (row.decided_at == decided.map(|decided| decided.at), "instant of decision"),
            (row.decided_by == decided.map(|it| it.by.clone().unwrap_or_else(|| "cli".to_owned())), "who decided"),
            (row.resolved_by == check, "granted check"),
            (row.grant_id == grant.flatten(), "grant"),
        ];
        asked.chain(ruled).find_map(|(is_same, part)| (!is_same).then_some(part))
    }
}
