//! Checks of the past decided again by another rule, one by one in the order of the log; `facts`: of what was recorded;
//! `scores`: of whom; `caveats`: what makes the numbers other than they seem.

mod caveats;
pub(super) mod facts;
mod scores;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::database::DatabaseError;
use crate::decision::decide::{decide, judge};
use crate::decision::decided::{Decided, LimitTouched};
use crate::decision::facts::Facts;
use crate::decision::forecast::{Forecast, counts_by_tier};
use crate::decision::reason::ReasonCode;
use crate::eligibility::backtest::{Backtest, Crossing, NotReplayed, Reproduction, Samples, Shift};
use crate::eligibility::picture::Scale;
use crate::eligibility::simulated_limits::{Asking, Counters, Granting, Timeline, digest_of};
use crate::foundation::ids::{CheckId, MerchantId, PerkId, PerkSlug};
use crate::ledger::read::decisions::{PastCheck, PastEvent, PastPersonal};
use crate::rules::attribute::{Attribute, PARTY, PassField};
use crate::rules::engine::FLOOR;
use crate::rules::limit::{LimitClaim, Place};
use crate::rules::rule::Rule;
use crate::rules::tier::age_bounds;
use facts::{facts_of, lacks_occupancy, source_of};
use scores::ScoreTally;

/// The most checks of a kind that are named.
const SAMPLES: usize = 20;

/// The name of what was not kept of children.
const AGES: &str = "party.children";

/// The rule and the period that are replayed.
pub(super) struct Subject {
    pub merchant: MerchantId,
    pub perk: PerkId,
    pub slug: PerkSlug,
    pub version: Option<i32>,
    pub rule: Arc<Rule>,
    pub from: Timestamp,
    pub to: Timestamp,
    /// The scale of the score that the rule looks at.
    pub scale: Option<Scale>,
}

/// A replay under way. But for the counters its size does not depend on how many checks there are.
pub(super) struct Replay {
    of: Subject,
    counters: Counters,
    /// The attributes that each version of the perk did not keep and this rule wants.
    unkept: HashMap<i32, BTreeSet<String>>,
    /// The versions that kept less of children's ages than this rule wants.
    ages_unkept: HashSet<i32>,
    /// Bodies of checks were pruned, and with them what they used of limits.
    has_gaps: bool,
    report: Report,
}

#[derive(Default)]
struct Report {
    checks: u64,
    replayed: u64,
    same: u64,
    newly_admitted: u64,
    newly_refused: u64,
    tier_changed: u64,
    otherwise_decided: u64,
    decisions: BTreeMap<(&'static str, &'static str), Crossing>,
    reasons: BTreeMap<String, (u64, u64)>,
    tiers: BTreeMap<String, (u64, u64)>,
    samples: Samples,
    not_replayed: NotReplayed,
    reproduction: Reproduction,
    /// Checks of which nobody recorded how full the place was, which the rule looks at.
    without_occupancy: u64,
    scores: Option<ScoreTally>,
}

impl Replay {
    pub(super) fn new(of: Subject) -> Self {
        let counters = Counters::of(&of.rule);
        let report = Report { scores: of.scale.map(ScoreTally::of), ..Report::default() };
        Self { of, counters, unkept: HashMap::new(), ages_unkept: HashSet::new(), has_gaps: false, report }
    }

    pub(super) const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The version that decided this check, if its rule is still to be made known.
    pub(super) fn unknown_version(&self, check: &PastCheck) -> Option<i32> {
        let known = !self.is_in_period(check) || self.unkept.contains_key(&check.rule_version);
        (!known).then_some(check.rule_version)
    }

    /// Makes the rule of one version known: only what it looked at was kept of its checks.
    pub(super) fn learn(&mut self, version: i32, ran: &Rule) {
        let wanted = &self.of.rule;
        let mut unkept: BTreeSet<String> = wanted
            .attributes()
            .iter()
            // How many come is in every event.
            .filter(|name| name.as_str() != PARTY && !ran.attributes().contains(*name))
            .map(|name| Attribute::of_member(name).name())
            .collect();
        unkept.extend(wanted.digested().difference(ran.digested()).map(|scope| scope.name().into_owned()));
        if wanted.time_zone() != ran.time_zone() {
            // Which leg counted, and whether any did, hung on the days of another zone.
            let of_pass = wanted.attributes().iter().filter(|name| PassField::named(name).is_some());
            unkept.extend(of_pass.cloned());
        }
        if !age_bounds(wanted.tiers()).is_subset(&age_bounds(ran.tiers())) {
            self.ages_unkept.insert(version);
        }
        if let Some(source) = source_of(wanted).filter(|source| source_of(ran) != Some(source)) {
            unkept.insert(format!("score from {source}"));
        }
        self.unkept.insert(version, unkept);
    }

    /// Counts a check whose body was pruned.
    pub(super) fn miss(&mut self, at: Timestamp) {
        self.has_gaps = true;
        if at >= self.of.from && at < self.of.to {
            self.report.not_replayed.pruned += 1;
        }
    }

    /// The next event of the log.
    ///
    /// # Errors
    /// [`DatabaseError::Corrupt`] when what was recorded can't have been.
    pub(super) fn replay(&mut self, event: &PastEvent) -> Result<(), DatabaseError> {
        self.counters.tidy_if_crowded();
        match event {
            PastEvent::Check(check) => return self.replay_check(check),
            PastEvent::Redeemed(redemption) => self.counters.enter(redemption),
            PastEvent::Corrected(correction) => {
                self.counters.correct(correction, correction.perk == self.of.perk.as_str());
            }
            PastEvent::Ended(end) => self.counters.end(end),
            PastEvent::Occupied(it) => self.counters.occupy(it, it.perk == self.of.perk.as_str()),
        }
        Ok(())
    }

    fn replay_check(&mut self, check: &PastCheck) -> Result<(), DatabaseError> {
        if !self.is_in_period(check) {
            self.carry(check);
            return Ok(());
        }
        self.report.checks += 1;
        let Some(personal) = self.replayable(check) else {
            self.carry(check);
            return Ok(());
        };
        let facts = facts_of((&self.of.rule, &self.of.perk), check, personal)?;
        self.report.without_occupancy += u64::from(lacks_occupancy(&self.of.rule, &facts, check.at));
        let decided = judge(&self.of.rule, &facts, check.at);
        let claims = self.claims(check, &decided);
        let lacking = check.digests.lacking(claims.iter().map(|claim| &claim.scope));
        if !lacking.is_empty() && check.rule_hash != self.of.rule.hash() {
            // The months of another zone's days: nobody can tell which counters it would have used.
            let not = &mut self.report.not_replayed;
            not.unkept += 1;
            not.unkept_attributes.extend(lacking.into_iter().map(|scope| scope.name().into_owned()));
            self.carry(check);
            return Ok(());
        }
        if check.rule_hash == self.of.rule.hash() {
            self.reproduce(check, &facts)?;
        }
        let would_be = self.settle(Timeline::Hypothetical, check, decided, None)?;
        self.compare(check, &would_be);
        if let Some(scores) = &mut self.report.scores {
            scores.note(facts.score.map(|score| score.value), &check.decided, &would_be);
        }
        let was_granted = check.decided.is_granted();
        if was_granted {
            self.counters.used(&granting(check, &check.decided.limits, true), &[Timeline::Actual]);
        }
        if was_granted || would_be.is_granted() {
            let touched = if would_be.is_granted() { would_be.limits.as_slice() } else { &[] };
            self.counters.decided(&granting(check, touched, true));
        }
        Ok(())
    }

    fn is_in_period(&self, check: &PastCheck) -> bool {
        check.perk == self.of.perk.as_str() && check.at >= self.of.from && check.at < self.of.to
    }

    /// The personal part of a check that can be decided again; counts those that can't.
    fn replayable<'a>(&mut self, check: &'a PastCheck) -> Option<&'a PastPersonal> {
        let not = &mut self.report.not_replayed;
        let by_hand = [ReasonCode::PerkPaused, ReasonCode::PlaceClosed].map(ReasonCode::as_str);
        if check.codes.iter().any(|code| by_hand.contains(&code.as_str())) {
            not.paused += 1;
            return None;
        }
        if check.is_by_person {
            not.by_person += 1;
            return None;
        }
        let Some(personal) = &check.personal else {
            not.erased += 1;
            return None;
        };
        let is_other = check.rule_hash != self.of.rule.hash();
        if is_other && self.ages_unkept.contains(&check.rule_version) && !check.party.children().is_empty() {
            not.unkept += 1;
            not.unkept_attributes.insert(AGES.to_owned());
            return None;
        }
        let unkept = self.unkept.get(&check.rule_version).filter(|unkept| !unkept.is_empty());
        if let Some(unkept) = unkept.filter(|_| is_other) {
            not.unkept += 1;
            not.unkept_attributes.extend(unkept.iter().cloned());
            return None;
        }
        Some(personal)
    }

    /// Counts a check that is not replayed: it used limits as it really did, in both histories.
    fn carry(&mut self, check: &PastCheck) {
        if check.decided.is_granted() {
            let ours = check.perk == self.of.perk.as_str();
            self.counters.used(&granting(check, &check.decided.limits, ours), &Timeline::BOTH);
        }
    }

    /// The claims on the limits that a check makes if it is granted.
    fn claims(&self, check: &PastCheck, decided: &Decided) -> Vec<LimitClaim> {
        let Some(tier) = decided.tier.as_deref().filter(|_| decided.is_granted()) else { return Vec::new() };
        let place = Place {
            merchant: self.of.merchant.as_str(),
            location: check.location.as_deref(),
            kiosk: check.kiosk.as_deref(),
            pass_month: check.digests.pass_month(),
        };
        self.of.rule.claims(tier, &check.party, &place, check.at)
    }

    /// The decision once the limits have spoken; when waiting is enough is worked out from the facts, if they are given.
    fn settle(
        &mut self,
        course: Timeline,
        check: &PastCheck,
        decided: Decided,
        facts: Option<&Facts>,
    ) -> Result<Decided, DatabaseError> {
        if !decided.is_granted() {
            return Ok(decided);
        }
        let claims = self.claims(check, &decided);
        let rule = &self.of.rule;
        let expires = check.at.as_second().saturating_add(rule.token().ttl.seconds());
        let asking = Asking { subject: &check.subject, digests: &check.digests, at: check.at, expires };
        let undigested = |error| DatabaseError::corrupt("digests of a check", error);
        let admission = self.counters.ask(course, &claims, &asking).map_err(undigested)?;
        let next = facts
            .zip(admission.room_at)
            .and_then(|(facts, room)| Forecast::new(rule, facts, check.at).first(|_| Some(room)));
        Ok(decided.limited(admission, next))
    }

    /// The same rule on the same facts and the same counters must come to the same decision.
    fn reproduce(&mut self, check: &PastCheck, facts: &Facts) -> Result<(), DatabaseError> {
        let reproduction = &mut self.report.reproduction;
        reproduction.checks += 1;
        if check.engine != i64::from(self.of.rule.engine()) {
            reproduction.other_engine += 1;
            return Ok(());
        }
        // The score is what it decided on: the facts of then were made of it.
        let decided = decide(&self.of.rule, facts, check.at);
        let decided = Decided { score: check.decided.score.clone(), ..decided };
        let again = self.settle(Timeline::Actual, check, decided, Some(facts))?;
        let again = if self.is_hint_recorded(check) {
            again
        } else {
            Decided { next_eligible_at: check.decided.next_eligible_at, ..again }
        };
        if check.decided != again {
            let is_short = self.has_gaps && !self.of.rule.limits().is_empty();
            let reproduction = &mut self.report.reproduction;
            if is_short {
                // Nobody can tell what those whose bodies were pruned had used.
                reproduction.checks -= 1;
                return Ok(());
            }
            reproduction.mismatches += 1;
            name(&mut reproduction.mismatched, check);
        }
        Ok(())
    }

    /// Tells whether the log determines when waiting was enough. Earlier builds worked it out in another way, and what
    /// refused without asking a limit, or asked those of another tier, read counters beside the log.
    fn is_hint_recorded(&self, check: &PastCheck) -> bool {
        let rule = &self.of.rule;
        let is_locked = check.decided.refused_tier.is_some() && !counts_by_tier(rule);
        check.engine >= i64::from(FLOOR) && (rule.limits().is_empty() || is_locked)
    }

    fn compare(&mut self, check: &PastCheck, would_be: &Decided) {
        let report = &mut self.report;
        report.replayed += 1;
        let (was, now) = (check.decided.decision, would_be.decision);
        let crossing = Crossing { was, would_be: now, checks: 0 };
        report.decisions.entry((was.as_str(), now.as_str())).or_insert(crossing).checks += 1;
        for code in &check.codes {
            count(&mut report.reasons, code).0 += 1;
        }
        let codes: BTreeSet<&str> = would_be.reasons.iter().map(|reason| reason.code.as_str()).collect();
        for code in codes {
            count(&mut report.reasons, code).1 += 1;
        }
        if let Some(tier) = &check.decided.tier {
            count(&mut report.tiers, tier).0 += 1;
        }
        if let Some(tier) = &would_be.tier {
            count(&mut report.tiers, tier).1 += 1;
        }
        let samples = &mut report.samples;
        let (counter, sample) = match (check.decided.is_granted(), would_be.is_granted()) {
            (false, true) => (&mut report.newly_admitted, Some(&mut samples.newly_admitted)),
            (true, false) => (&mut report.newly_refused, Some(&mut samples.newly_refused)),
            (true, true) if check.decided.tier != would_be.tier => {
                (&mut report.tier_changed, Some(&mut samples.tier_changed))
            }
            (false, false) if was != now => (&mut report.otherwise_decided, Some(&mut samples.otherwise_decided)),
            (true, true) | (false, false) => (&mut report.same, None),
        };
        *counter += 1;
        if let Some(sample) = sample {
            name(sample, check);
        }
    }

    pub(super) fn finish(self) -> Backtest {
        let warnings = caveats::of(&self.of, &self.report);
        let Subject { slug, version, rule, from, to, .. } = self.of;
        let report = self.report;
        let shifts = |counts: BTreeMap<String, (u64, u64)>| {
            counts.into_iter().map(|(name, (was, would_be))| Shift { name, was, would_be }).collect()
        };
        Backtest {
            perk: slug,
            version,
            rule_hash: rule.hash().to_owned(),
            from,
            to,
            checks: report.checks,
            replayed: report.replayed,
            same: report.same,
            newly_admitted: report.newly_admitted,
            newly_refused: report.newly_refused,
            tier_changed: report.tier_changed,
            otherwise_decided: report.otherwise_decided,
            decisions: report.decisions.into_values().collect(),
            reasons: shifts(report.reasons),
            tiers: shifts(report.tiers),
            samples: report.samples,
            not_replayed: report.not_replayed,
            reproduction: report.reproduction,
            warnings,
            scores: report.scores.map(ScoreTally::finish),
        }
    }
}

/// A granted check as it used these limits.
pub(super) fn granting<'a>(check: &PastCheck, touched: &'a [LimitTouched], of_this_perk: bool) -> Granting<'a> {
    // A check that was not granted has no grant: its own id stands for one that it would have had.
    let grant = digest_of(&[check.grant.as_deref().unwrap_or(check.check.as_str())]);
    Granting { grant, at: check.at, touched, of_this_perk }
}

fn count<'a>(counts: &'a mut BTreeMap<String, (u64, u64)>, name: &str) -> &'a mut (u64, u64) {
    counts.entry(name.to_owned()).or_default()
}

fn name(names: &mut Vec<CheckId>, check: &PastCheck) {
    if names.len() < SAMPLES {
        names.push(check.check.clone());
    }
}
