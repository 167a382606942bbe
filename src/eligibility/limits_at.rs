//! Limits as they stood at an instant of the past: recounted from the log for one check, in the log's
//! order and page by page, as a backtest counts what was really used.

use std::sync::Arc;

use jiff::Timestamp;

use super::replay::granting;
use super::rule_selection::{Chosen, TrialError, longest_max_stays};
use super::runs::compute;
use super::simulated_limits::{Asking, Counters, MaxStays, Since, Timeline};
use super::simulator::Simulator;
use crate::database::DatabaseError;
use crate::decision::decided::Decided;
use crate::foundation::ids::PerkId;
use crate::ledger::entry::CheckEntry;
use crate::ledger::read::decisions::PastEvent;
use crate::ledger::read::history::{HistoryPage, Interest};
use crate::rules::limit::{LimitClaim, MissingDigest, Scope};
use crate::rules::rule::Rule;

/// From so many events on counting them is a long run, of which a merchant has one at a time.
const LONG: i64 = 20_000;

/// The decision about one check as it would have been.
pub(super) struct LimitsAnswer {
    pub decided: Decided,
    /// The limits whose uses can't be counted any more; they had no say.
    pub unknown: Vec<String>,
}

impl Simulator {
    /// The answer of the limits at the entry's instant, which is past: what was used before it
    /// counts, and what was given back by then does not.
    pub(super) async fn limits_at(&self, chosen: &Chosen, entry: CheckEntry) -> Result<LimitsAnswer, TrialError> {
        let (merchant, perk, rule, at) = (&entry.merchant, &chosen.perk, &chosen.rule, entry.at);
        let subject = self.ledger.reader().pseudonym_of(entry.clone()).await?;
        let max_stays = longest_max_stays(&self.catalog, merchant, perk, rule).await?;
        let (digests, destroyed) = self.ledger.reader().digests_of(entry.clone()).await?;
        let asked = asked_later(&entry);
        let all: Vec<LimitClaim> =
            entry.claims.iter().chain(asked.iter().flat_map(|(_, claims)| claims)).cloned().collect();
        let counters = Counters::of_check(rule, &all, &subject, &digests).map_err(undigested)?;
        let since = match Counters::since(rule, at, &max_stays) {
            Since::Beginning => None,
            Since::At(since) => Some(since),
        };
        let mut stretch = self.ledger.reader().stretch(merchant, since, at).await?;
        let turn = (stretch.before - stretch.from > LONG).then(|| self.runs.begin(merchant)).transpose()?;
        // What others used is of no matter where each person is counted alone.
        let is_own = rule.limits().iter().all(|limit| limit.scope.contains(&Scope::Subject));
        let interest = Interest {
            perk: perk.id.clone(),
            personal_from: Timestamp::MAX,
            moves: true,
            other_perks: counters.are_across_perks(),
            person: is_own.then(|| subject.clone()),
        };
        let mut uses = UsesCounted { rule: rule.clone(), perk: perk.id.clone(), at, max_stays, counters, gap: None };
        while stretch.from < stretch.before {
            let page = self.ledger.reader().past_events(merchant, stretch, &interest).await?;
            stretch.from = page.next;
            let work = move || {
                uses.add(&page);
                uses
            };
            uses = match &turn {
                Some(turn) => turn.compute(work).await?,
                None => compute(work).await?,
            };
        }
        let mut unknown = uses.unknown();
        // Without its secret nobody can tell which counter was the check's.
        let is_lost = |claim: &&LimitClaim| claim.scope.digested().any(|(_, month)| destroyed.contains(month));
        for claim in all.iter().filter(is_lost) {
            if !unknown.contains(&claim.limit) {
                unknown.push(claim.limit.clone());
            }
        }
        let is_known = |claim: &LimitClaim| !unknown.contains(&claim.limit);
        let (claims, pruned): (Vec<_>, Vec<_>) = entry.claims.iter().cloned().partition(is_known);
        let expires = at.as_second().saturating_add(rule.token().ttl.seconds());
        let asking = Asking { subject: &subject, digests: &digests, at, expires };
        let (tier, is_granted) = (entry.decided.tier.clone(), entry.decided.is_granted());
        let admission = is_granted.then(|| uses.counters.ask(Timeline::Actual, &claims, &asking));
        let admission = admission.transpose().map_err(undigested)?;
        let mut rooms = Vec::new();
        for (later, claims) in asked {
            let claims: Vec<_> = claims.into_iter().filter(is_known).collect();
            let refused = admission.as_ref().filter(|_| later.is_none() || later == tier);
            let room = match refused {
                Some(refused) => refused.room_at,
                None => uses.counters.room_at(Timeline::Actual, &claims, &asking).map_err(undigested)?,
            };
            rooms.push((later, room));
        }
        let room = |tier: &str| {
            let of_tier = rooms.iter().find(|(known, _)| known.as_deref().is_none_or(|known| known == tier));
            of_tier.and_then(|(_, room)| *room)
        };
        let next = entry.outlook.as_ref().and_then(|outlook| outlook.forecast(at).first(room));
        let decided = match admission {
            None => Decided { next_eligible_at: next, ..entry.decided },
            Some(admission) if admission.admitted => entry.decided.limited(admission, None),
            Some(admission) => entry.decided.limited(admission, next),
        };
        // What was used is not known, but what a limit never admits is.
        let decided = if decided.is_granted() { decided.within(&pruned) } else { decided };
        Ok(LimitsAnswer { decided, unknown })
    }
}

fn undigested(error: MissingDigest) -> DatabaseError {
    DatabaseError::corrupt("digests of a check", error)
}

/// The claims that would be made later, by each tier that has counters of its own, or by whichever is granted.
fn asked_later(entry: &CheckEntry) -> Vec<(Option<String>, Vec<LimitClaim>)> {
    let Some(outlook) = &entry.outlook else { return Vec::new() };
    let claims = |tier: &str| entry.request.claims(&outlook.rule, tier);
    let tiers = outlook.forecast(entry.at).tiers().into_iter();
    if outlook.counts_by_tier() {
        tiers.map(|tier| (Some(tier.to_owned()), claims(tier))).collect()
    } else {
        tiers.take(1).map(|tier| (None, claims(tier))).collect()
    }
}

/// The uses that are counted so far. Its size depends on the uses of the counters that will be asked, not on the log's.
struct UsesCounted {
    rule: Arc<Rule>,
    perk: PerkId,
    at: Timestamp,
    max_stays: MaxStays,
    counters: Counters,
    /// The latest check before the instant whose body was pruned, and with it what it used.
    gap: Option<Timestamp>,
}

impl UsesCounted {
    fn add(&mut self, page: &HistoryPage) {
        let gaps = page.pruned.iter().copied().filter(|at| *at < self.at);
        self.gap = gaps.chain(self.gap).max();
        for event in &page.events {
            self.counters.tidy_if_crowded();
            match event {
                PastEvent::Check(check) if check.at < self.at && check.decided.is_granted() => {
                    let is_ours = check.perk == self.perk.as_str();
                    self.counters.used(&granting(check, &check.decided.limits, is_ours), &[Timeline::Actual]);
                }
                PastEvent::Redeemed(redemption) if redemption.at < self.at => self.counters.enter(redemption),
                PastEvent::Ended(end) if end.at < self.at => {
                    self.counters.give_back_sums(end, end.perk == self.perk.as_str());
                    self.counters.end(end);
                }
                PastEvent::Corrected(correction) if correction.at < self.at => {
                    self.counters.correct(correction, correction.perk == self.perk.as_str());
                }
                PastEvent::Occupied(correction) if correction.at < self.at => {
                    self.counters.occupy(correction, correction.perk == self.perk.as_str());
                }
                PastEvent::Check(_)
                | PastEvent::Redeemed(_)
                | PastEvent::Corrected(_)
                | PastEvent::Occupied(_)
                | PastEvent::Ended(_) => {}
            }
        }
    }

    /// The limits whose windows reach back to something that was pruned. What counts for ever is never pruned.
    fn unknown(&self) -> Vec<String> {
        let Some(gap) = self.gap else { return Vec::new() };
        let reaches = |since| matches!(since, Since::At(since) if since <= gap);
        let limits = self.rule.limits().iter().filter(|limit| reaches(Since::of(limit, self.at, &self.max_stays)));
        limits.map(|limit| limit.id.clone()).collect()
    }
}
