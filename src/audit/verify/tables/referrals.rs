//! Referrals of rules to a person, and how each was decided, against the events of one merchant.

use std::collections::BTreeMap;

use super::approvals::{Approvals, SignedStep};
use super::rules::Compared;
use crate::audit::reader::body::{Body, CheckFacts, ContestFacts, ReferralFacts};
use crate::audit::reader::instant::Instant;
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::missing_events::Gaps;
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::cases::{contest, referral};
use crate::ledger::store::ReferralRow;

const OPEN: &str = "open";
const GRANTED: &str = "granted";

/// The referrals of one log as its events have them.
#[derive(Default)]
pub(crate) struct Referrals {
    /// By the check that was referred.
    referred: BTreeMap<String, Referral>,
    /// By the check that was referred: the one that a person granted in its place, and its grant.
    granted: BTreeMap<String, (String, Option<String>)>,
    /// By the check: what kinds of pruned events opened a case about it, or decided it.
    pruned: BTreeMap<String, PrunedCase>,
}

/// The remains of the events of one case whose bodies are pruned.
#[derive(Default)]
struct PrunedCase {
    is_contested: bool,
    /// Its decision. None: not by an event that is pruned.
    ruled: Option<Ruled>,
}

#[derive(Clone, Copy)]
enum Ruled {
    /// `referral.decided` is both.
    EitherWay,
    To(&'static str),
}

#[derive(Default)]
struct Referral {
    /// None when the event of its check is pruned.
    asked: Option<Asked>,
    /// When it was contested, and by whom.
    contested: Option<(i64, String)>,
    decided: Option<Decided>,
    /// Number of refusals that were added to it.
    additions: usize,
}

struct Asked {
    perk_id: String,
    perk: String,
    rule_version: i32,
    subject: String,
    at: i64,
}

struct Decided {
    is_contest: bool,
    status: String,
    at: i64,
    by: Option<String>,
    granted: Option<(String, Option<String>)>,
}

impl Referrals {
    /// `has_gaps`: events before it are not here, perhaps the check that it joins.
    pub(crate) fn asked(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        check: &CheckFacts<'_>,
        has_gaps: bool,
        findings: &mut Findings,
    ) {
        if let Some(asked) = check.resolves.as_ref().filter(|_| check.override_reason.is_none()) {
            let grant = check.grant.as_ref().map(|grant| grant.id.to_string());
            self.granted.insert(asked.to_string(), (body.about.to_string(), grant));
        }
        if let Some(first) = &check.joins {
            if let Err(reason) = self.joined(check, first, has_gaps) {
                findings.add(at, Wrong::Incoherent { reason });
            }
        } else if &*check.decision == "referred" {
            let asked = Asked {
                perk_id: check.perk_id.to_string(),
                perk: check.perk.to_string(),
                rule_version: check.rule_version,
                subject: check.subject.to_string(),
                at: body.at.0,
            };
            self.referred.insert(body.about.to_string(), Referral { asked: Some(asked), ..Referral::default() });
        }
    }

    /// Holds a check that joins another's referral to that one, which is open then.
    fn joined(&self, check: &CheckFacts<'_>, first: &str, has_gaps: bool) -> Result<(), &'static str> {
        if &*check.decision != "referred" {
            return Err("what joins a referral is left to a person");
        }
        match self.referred.get(first) {
            None if has_gaps => Ok(()),
            None => Err("no referral is before it that it joins"),
            Some(referral) if referral.contested.is_some() => Err("it joins a contest"),
            Some(referral) => referral.takes(&check.subject, &check.perk_id),
        }
    }

    /// Holds an addition to its case, which is open then, and counts it.
    pub(crate) fn add(
        &mut self,
        check: &str,
        case: &str,
        facts: &ContestFacts<'_>,
        has_gaps: bool,
    ) -> Result<(), &'static str> {
        if self.referred.contains_key(check) {
            return Err("it was referred or contested before");
        }
        let Some(referral) = self.referred.get_mut(case) else {
            return if has_gaps { Ok(()) } else { Err("no case is before it that it was added to") };
        };
        if referral.contested.is_none() {
            return Err("what it was added to is no contest");
        }
        referral.additions += 1;
        if referral.additions > contest::MOST_ADDED {
            return Err("more was added to the case than it takes");
        }
        referral.takes(&facts.subject, &facts.perk_id)
    }

    /// A pruned event of this kind said something of the check.
    pub(crate) fn record_pruned(&mut self, check: &str, kind: &str) {
        let pruned = self.pruned.entry(check.to_owned()).or_default();
        pruned.is_contested |= kind != referral::KIND;
        match kind {
            referral::KIND => pruned.ruled = Some(Ruled::EitherWay),
            contest::UPHELD => pruned.ruled = Some(Ruled::To("denied")),
            contest::OVERTURNED => pruned.ruled = Some(Ruled::To(GRANTED)),
            contest::CLOSED => pruned.ruled = Some(Ruled::To("closed")),
            _ => {}
        }
    }

    pub(crate) fn contested(&mut self, at: At<'_>, body: &Body<'_>, facts: &ContestFacts<'_>, findings: &mut Findings) {
        let asked = Asked {
            perk_id: facts.perk_id.to_string(),
            perk: facts.perk.to_string(),
            rule_version: facts.rule_version,
            subject: facts.subject.to_string(),
            at: facts.decided_at.as_microsecond(),
        };
        let by = body.actor.name();
        let contested = Some((body.at.0, by));
        let case = Referral { asked: Some(asked), contested, ..Referral::default() };
        let before = self.referred.insert(body.about.to_string(), case);
        if before.is_some() {
            findings.add(at, Wrong::Incoherent { reason: "it was referred or contested before" });
        }
    }

    /// Checks that the one who contested a check doesn't judge it where two people are asked for.
    pub(crate) fn judged(&self, at: At<'_>, body: &Body<'_>, approvals: &Approvals, findings: &mut Findings) {
        let contested = self.referred.get(&*body.about).and_then(|referral| referral.contested.as_ref());
        // An erasure judges nothing.
        let is_judged = matches!(&*body.kind, contest::UPHELD | contest::OVERTURNED) && approvals.are_required();
        if let Some((since, by)) = contested.filter(|_| is_judged) {
            let step = SignedStep::of(body);
            if let Some(reason) = approvals.objection([by.as_str()], Some(Instant(*since)), &step) {
                let (check, key) = (body.about.to_string(), step.by);
                findings.add(at, Wrong::ContestJudgedAlone { check, key, reason });
            }
        }
    }

    /// `has_gaps`: events before it are not here, perhaps the check's.
    pub(crate) fn decided(
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
            decision if (decision == "closed") != (*body.kind == *contest::CLOSED) => {
                incoherent("an erasure closes a contest, and nobody else");
            }
            "granted" | "denied" | "closed" => {}
            _ => incoherent("a person grants or denies"),
        }
        let decided = Decided {
            is_contest: *body.kind != *referral::KIND,
            status: facts.decision.to_string(),
            at: body.at.0,
            by: body.actor.key.as_deref().map(str::to_owned),
            granted: named,
        };
        match self.referred.get_mut(&*body.about) {
            Some(referral) if referral.decided.is_none() => referral.decided = Some(decided),
            None if has_gaps => {
                self.referred
                    .insert(body.about.to_string(), Referral { decided: Some(decided), ..Referral::default() });
            }
            Some(_) => incoherent("it was decided before"),
            None => incoherent("nothing was referred that it decides"),
        }
    }

    /// Compares with the merchant's referrals; returns how many there are.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        gaps: &Gaps,
        findings: &mut Findings,
    ) -> Result<Compared, DatabaseError> {
        let mut compared = Compared::default();
        let list = |after: &str| store::list_referrals(conn, merchant, after);
        store::each_row(
            list,
            |row| &row.check_id,
            |row| {
                compared.rows += 1;
                let (pruned, known) = (self.pruned.remove(&row.check_id), self.referred.remove(&row.check_id));
                let check = || row.check_id.clone();
                // Nothing is pruned of one that is open, so of each there is an event, or what is left of one.
                if pruned.is_none() && known.is_none() {
                    findings.add(FindingPlace::log(log), Wrong::ReferralWithoutEvent { check: check() });
                    return;
                }
                let (pruned, known) = (pruned.unwrap_or_default(), known.unwrap_or_default());
                compared.unheld += u64::from(pruned.leaves_unheld(&known));
                let granted = self.granted.get(&row.check_id);
                if let Some(part) = known.difference(row, &pruned).or_else(|| pruned.difference(row, &known, granted)) {
                    findings.add(FindingPlace::log(log), Wrong::Referral { check: check(), part });
                }
            },
        )?;
        for check in self.referred.into_keys().chain(self.pruned.into_keys()) {
            findings.add(FindingPlace::log(log), Wrong::ReferralMissing { check });
        }
        // The decision that follows it may be pruned.
        for _ in self.granted.iter().filter(|_| !gaps.any()) {
            let reason = "a person is said to have granted a check, and no decision of theirs follows";
            findings.add(FindingPlace::log(log), Wrong::Incoherent { reason });
        }
        Ok(compared)
    }
}

impl Referral {
    /// Checks whether more about this person and perk may belong to it now.
    fn takes(&self, subject: &str, perk_id: &str) -> Result<(), &'static str> {
        match &self.asked {
            _ if self.decided.is_some() => Err("the case that it belongs to was decided before it"),
            Some(asked) if asked.subject != subject || asked.perk_id != perk_id => {
                Err("the case that it belongs to is about another person or perk")
            }
            _ => Ok(()),
        }
    }

    /// Where the row is not what the events say that are here.
    fn difference(&self, row: &ReferralRow, pruned: &PrunedCase) -> Option<&'static str> {
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
        let ruled = ruled.into_iter().filter(|_| decided.is_some() || pruned.ruled.is_none());
        asked.chain(ruled).find_map(|(is_same, part)| (!is_same).then_some(part))
    }
}

impl PrunedCase {
    /// Tells whether what is pruned said who did something, and nothing that is here does.
    const fn leaves_unheld(&self, known: &Referral) -> bool {
        let contest = self.is_contested && known.contested.is_none();
        contest || self.ruled.is_some() && known.decided.is_none()
    }

    /// Where the row is not what is left of pruned events, beside those that are here. `granted` is what a person
    /// granted in the check's place, if that is here.
    fn difference(
        &self,
        row: &ReferralRow,
        known: &Referral,
        granted: Option<&(String, Option<String>)>,
    ) -> Option<&'static str> {
        let is_contest = self.is_contested || known.decided.as_ref().is_some_and(|decided| decided.is_contest);
        let contested = [
            (row.contested_at.is_some() == is_contest, "instant of contest"),
            (row.contested_by.is_some() == is_contest, "who contested"),
        ];
        // Of one that was asked here it was said above.
        let contested = contested.into_iter().filter(|_| known.asked.is_none());
        let ruled = self.ruled.filter(|_| known.decided.is_none()).into_iter().flat_map(|ruled| {
            let is_so = match ruled {
                Ruled::EitherWay => matches!(row.status.as_str(), GRANTED | "denied"),
                Ruled::To(status) => row.status == status,
            };
            let is_granted = row.status == GRANTED;
            let (check, grant) = granted.map(|(check, grant)| (check.as_str(), grant.as_deref())).unzip();
            [
                (is_so && (is_granted || granted.is_none()), "status"),
                (row.decided_at.is_some(), "instant of decision"),
                (row.decided_by.is_some(), "who decided"),
                (row.resolved_by.is_some() == is_granted, "granted check"),
                (row.grant_id.is_some() == is_granted, "grant"),
                (check.is_none_or(|check| row.resolved_by.as_deref() == Some(check)), "granted check"),
                (grant.is_none_or(|grant| row.grant_id.as_deref() == grant), "grant"),
            ]
        });
        contested.chain(ruled).find_map(|(is_same, part)| (!is_same).then_some(part))
    }
}
