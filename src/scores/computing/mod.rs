//! Computing scores: from the signals of enrolled people, by the model of a source, to rows that are written as feeders'
//! are, so that caches hear of them alike.
//!
//! - `sources`: making such a source; `publishing`: another model for one; `run`: a run, `chunk` by chunk; `rehearsal`: its first people
//! - `store`: models, who is due, what is known of them, and what is written
//!
//! A score depends on its own person's signals and the model only (`scoring`), and changes on days that are known before:
//! so a run looks at those who are due, and comes to the same, byte for byte, as one that looks at everyone. A full run is
//! one in which everyone is due. It can be broken off anywhere: who was computed is due no more, who was not still is.
//! No check waits for it.

mod chunk;
pub mod publishing;
mod rehearsal;
pub mod run;
mod sources;
pub mod store;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::run::{ComputeReport, ComputeRun};
use super::Scores;
use super::error::ScoreError;
use super::store::count_scores;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::scoring::activity::Activity;
use crate::scoring::model::Model;
use crate::scoring::observation::day_of;
use crate::scoring::score::{Computed, compute};
use crate::scoring::signs::{Sign, signs};
use crate::telemetry::Outage;
use store::due;
use store::gathering::{self, GatheredPerson};

/// Between two looks at who is due.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// The use of what a run computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Writes it.
    Write,
    /// Tells what would change, and writes nothing.
    DryRun,
}

/// The models by which a source computes: a score is the better of what they make.
#[derive(Debug, Clone)]
pub struct Models {
    pub current: Model,
    /// Those before, each for a while after another was published.
    pub before: Vec<Model>,
}

impl Models {
    /// The score by the model that makes the better one, with that model; none where nothing is known that counts.
    #[must_use]
    pub fn compute(&self, activity: &Activity) -> Option<(&Model, Computed<'_>)> {
        let of = |model| compute(model, activity).map(|computed| (model, computed));
        let mut best = of(&self.current);
        for before in self.before.iter().filter_map(of) {
            if best.as_ref().is_none_or(|(_, best)| before.1.score > best.score) {
                best = Some(before);
            }
        }
        best
    }
}

impl Scores {
    /// Begins to compute a source for those who are due at `clock`'s now.
    ///
    /// # Errors
    /// [`ScoreError::NotComputed`], [`ScoreError::UnderWay`], [`ScoreError::Database`].
    pub async fn compute(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        mode: Mode,
        clock: Clock,
    ) -> Result<ComputeRun, ScoreError> {
        let models = self.models_of(merchant, source, clock.now()).await?;
        let models = models.ok_or_else(|| ScoreError::NotComputed(source.clone()))?;
        ComputeRun::begin(self.clone(), (merchant.clone(), source.clone()), models, mode, clock).await
    }

    /// Makes everyone who is enrolled due for a source: the next run does so, and computes everyone again.
    ///
    /// # Errors
    /// [`ScoreError::NotComputed`], [`ScoreError::Database`].
    pub async fn compute_all(&self, merchant: &MerchantId, source: &SourceName) -> Result<(), ScoreError> {
        let of = (merchant.clone(), source.clone());
        let begin = move |conn: &mut AnyConnection| due::begin_all_due(conn, &of.0, Some(&of.1));
        match self.database.write(begin).await? {
            0 => Err(ScoreError::NotComputed(source.clone())),
            _ => Ok(()),
        }
    }

    /// The models by which a source computes at `now`; none for one that doesn't compute.
    ///
    /// # Errors
    /// The database's.
    pub async fn models_of(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        now: Timestamp,
    ) -> Result<Option<Models>, DatabaseError> {
        let (merchant, source) = (merchant.clone(), source.clone());
        self.database.read(move |conn| store::find_models_of(conn, &merchant, &source, now)).await
    }

    /// One person's signals, as they count on the day of `now`.
    ///
    /// # Errors
    /// The database's.
    pub async fn gather(
        &self,
        merchant: &MerchantId,
        subject: SubjectRef,
        now: Timestamp,
    ) -> Result<GatheredPerson, DatabaseError> {
        let merchant = merchant.clone();
        self.database.read(move |conn| gathering::gather_one(conn, &merchant, &subject, day_of(now))).await
    }

    /// The signs that are worth a look in one person's signals, as they are on the day of `now`. It lowers nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn signs_of(
        &self,
        merchant: &MerchantId,
        subject: SubjectRef,
        now: Timestamp,
    ) -> Result<Vec<Sign>, DatabaseError> {
        let merchant = merchant.clone();
        let read = move |conn: &mut AnyConnection| store::shapes::shapes_of(conn, &merchant, &subject, day_of(now));
        Ok(signs(&self.database.read(read).await?))
    }

    /// The number of people whose score from the source is below `value`, and of all who have one.
    ///
    /// # Errors
    /// The database's.
    pub async fn rank(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        value: Decimal,
    ) -> Result<(u64, u64), DatabaseError> {
        let (merchant, source) = (merchant.clone(), source.clone());
        let read = move |conn: &mut AnyConnection| {
            let below = store::count_below(conn, (&merchant, &source), value)?;
            Ok((below, count_scores(conn, &merchant, &source)?))
        };
        self.database.read(read).await
    }

    /// Computes all sources for those who are due, again and again until cancelled. Every replica may: a lease lets one of
    /// them. The faults of a source stop that source only, until the next look.
    pub async fn keep_computing(self, clock: Clock, cancel: CancellationToken) {
        static OUTAGE: Outage = Outage::new("scores can't be computed", "they are computed again");
        let mut failing = BTreeSet::new();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = looks.tick() => {}
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                result = self.compute_due(&clock, &mut failing) => match result {
                    Ok(()) => OUTAGE.succeeded(),
                    Err(error) => OUTAGE.failed(&error),
                },
            }
        }
    }

    /// Computes every source for those who are due, and notes in `failing` which of them can't be.
    ///
    /// # Errors
    /// [`ScoreError::Database`] when none can be, as nothing answers.
    pub async fn compute_due(
        &self,
        clock: &Clock,
        failing: &mut BTreeSet<(MerchantId, SourceName)>,
    ) -> Result<(), ScoreError> {
        let now = clock.now();
        let list = move |conn: &mut AnyConnection| store::list_due_sources(conn, now);
        for (merchant, source) in self.database.read(list).await? {
            let outcome = self.compute_source(&merchant, &source, clock).await;
            let of = (merchant, source);
            match outcome {
                Ok(report) => {
                    let ComputeReport { set_aside, .. } = report;
                    if set_aside > 0 {
                        let (merchant, source) = (of.0.as_str(), of.1.as_str());
                        tracing::warn!(merchant, source, set_aside, "people were set aside until tomorrow");
                    }
                    if failing.remove(&of) {
                        tracing::info!(merchant = of.0.as_str(), source = of.1.as_str(), "scores are computed again");
                    }
                }
                Err(ScoreError::Database(error)) if run::is_everyones(&error) => {
                    return Err(ScoreError::Database(error));
                }
                Err(error) => {
                    let (merchant, source) = (of.0.as_str(), of.1.as_str());
                    if !failing.contains(&of) {
                        tracing::warn!(merchant, source, %error, "scores of this source can't be computed");
                    }
                    failing.insert(of);
                }
            }
        }
        Ok(())
    }

    async fn compute_source(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        clock: &Clock,
    ) -> Result<ComputeReport, ScoreError> {
        match self.compute(merchant, source, Mode::Write, clock.clone()).await {
            Ok(mut run) => loop {
                match run.step().await {
                    Ok(Some(_)) => {}
                    // Another replica does the rest.
                    Ok(None) | Err(ScoreError::UnderWay) => return Ok(*run.report()),
                    Err(error) => return Err(error),
                }
            },
            // A run that is held waits for a person.
            Err(ScoreError::UnderWay | ScoreError::Held(_)) => Ok(ComputeReport::default()),
            Err(ScoreError::NotComputed(_)) => loop {
                let of = (merchant.clone(), source.clone());
                let delete = move |conn: &mut AnyConnection| due::delete_some_due(conn, (&of.0, &of.1));
                if self.database.write(delete).await? == 0 {
                    return Ok(ComputeReport::default());
                }
            },
            Err(error) => Err(error),
        }
    }
}
