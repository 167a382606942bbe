//! Replaying the checks of a period, from the ledger, against a rule.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::backtest::Backtest;
use super::picture::Scale;
use super::replay::{Replay, Subject};
use super::rule_selection::{Choice, Chosen, TrialError, choose, longest_max_stays, rule_of};
use super::runs::{Run, RunPermit, RunProgress, Runs};
use super::simulated_limits::{Counters, Since};
use crate::access::Merchant;
use crate::database::DatabaseError;
use crate::foundation::clock::Clock;
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::ledger::Ledger;
use crate::ledger::read::decisions::PastEvent;
use crate::ledger::read::history::{Interest, Stretch};
use crate::perks::catalog::Catalog;
use crate::perks::perk::Perk;
use crate::scores::Scores;

/// The longest period, in days: five years.
const LONGEST_DAYS: i64 = 5 * 366;

/// A question about the past.
#[derive(Debug, Clone)]
pub struct PastTrial {
    pub perk: PerkSlug,
    pub choice: Choice,
    pub from: Timestamp,
    /// Not part of the period; now without it.
    pub to: Option<Timestamp>,
}

/// Replays checks; records and consumes nothing. Cheap to clone.
#[derive(Clone)]
pub struct Backtester {
    pub(crate) catalog: Catalog,
    pub(crate) scores: Scores,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    pub(crate) runs: Runs,
}

impl Backtester {
    /// Begins to replay the period.
    ///
    /// # Errors
    /// [`TrialError`]; of the period when it can't be one.
    pub async fn backtest(&self, merchant: &Merchant, trial: PastTrial) -> Result<BacktestRun, TrialError> {
        let PastTrial { perk, choice, from, to } = trial;
        let now = self.clock.now();
        let to = to.unwrap_or(now);
        if from >= to {
            return Err(TrialError::PeriodReversed);
        }
        if to > now {
            return Err(TrialError::PeriodInFuture { now });
        }
        if to.duration_since(from) > SignedDuration::from_hours(LONGEST_DAYS * 24) {
            return Err(TrialError::PeriodTooLong { days: LONGEST_DAYS });
        }
        let Chosen { perk, version, rule, source } =
            choose(&self.catalog, &self.scores, &merchant.id, &perk, choice).await?;
        let permit = self.runs.begin(&merchant.id)?;
        let max_stays = longest_max_stays(&self.catalog, &merchant.id, &perk, &rule).await?;
        let since = match Counters::since(&rule, from, &max_stays) {
            Since::Beginning => None,
            Since::At(at) => Some(at),
        };
        let stretch = self.ledger.reader().stretch(&merchant.id, since, to).await?;
        let (id, slug, merchant) = (perk.id.clone(), perk.slug.clone(), merchant.id.clone());
        let scale = source.map(|source| Scale::new(source.minimum, source.maximum));
        let replay =
            Replay::new(Subject { merchant: merchant.clone(), perk: id, slug, version, rule, from, to, scale });
        let (moves, other_perks) = (replay.counters().are_there(), replay.counters().are_across_perks());
        let interest = Interest { perk: perk.id.clone(), personal_from: from, moves, other_perks, person: None };
        let of = u64::try_from(stretch.before - stretch.from).unwrap_or(0);
        Ok(BacktestRun {
            catalog: self.catalog.clone(),
            ledger: self.ledger.clone(),
            merchant,
            perk,
            interest,
            stretch,
            replay: Some(Box::new(replay)),
            progress: RunProgress { done: 0, of },
            permit,
        })
    }
}

/// A period being replayed. Its progress counts the events of the merchant's log.
pub struct BacktestRun {
    catalog: Catalog,
    ledger: Ledger,
    merchant: MerchantId,
    perk: Perk,
    interest: Interest,
    /// The stretch of the log that is left to read.
    stretch: Stretch,
    /// Away while a page is replayed on another thread.
    replay: Option<Box<Replay>>,
    progress: RunProgress,
    permit: RunPermit,
}

impl Run for BacktestRun {
    type Answer = Backtest;

    async fn step(&mut self) -> Result<Option<RunProgress>, TrialError> {
        if self.stretch.from >= self.stretch.before {
            return Ok(None);
        }
        let (ledger, merchant, interest) = (self.ledger.clone(), self.merchant.clone(), self.interest.clone());
        let stretch = self.stretch;
        let page =
            self.permit.compute(move || ledger.reader().past_events_blocking(&merchant, stretch, &interest)).await??;
        let mut replay = self.replay.take().ok_or(DatabaseError::Interrupted)?;
        let version_of = |event: &PastEvent| match event {
            PastEvent::Check(check) => replay.unknown_version(check),
            PastEvent::Redeemed(_) | PastEvent::Corrected(_) | PastEvent::Ended(_) | PastEvent::Occupied(_) => None,
        };
        let unknown: BTreeSet<i32> = page.events.iter().filter_map(version_of).collect();
        for version in unknown {
            replay.learn(version, &rule_of(&self.catalog, &self.merchant, &self.perk, version).await?);
        }
        let next = page.next;
        let replayed = self.permit.compute(move || {
            page.pruned.iter().for_each(|at| replay.miss(*at));
            page.events.iter().try_for_each(|event| replay.replay(event)).map(|()| replay)
        });
        self.replay = Some(replayed.await??);
        self.progress.done += u64::try_from(next - self.stretch.from).unwrap_or(0);
        self.stretch.from = next;
        Ok(Some(self.progress))
    }

    fn finish(self) -> Option<Backtest> {
        self.replay.map(|replay| replay.finish())
    }
}
