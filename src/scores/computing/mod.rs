//! Computing scores: from the signals of enrolled people, by the model of a source, to rows that are written as feeders'
//! are, so that caches hear of them alike.
//!
//! - `sources`: making such a source; `run`: a run, chunk by chunk
//! - `store`: models, who is due, what is known of them, and what is written
//!
//! A score depends on its own person's signals and the model only (`scoring`), and changes on days that are known before:
//! so a run looks at those who are due, and comes to the same, byte for byte, as one that looks at everyone. A full run is
//! one in which everyone is due. It can be broken off anywhere: who was computed is due no more, who was not still is.
//! No check waits for it.

pub mod run;
mod sources;
pub mod store;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::run::ComputeRun;
use super::Scores;
use super::error::ScoreError;
use super::store::count_scores;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::scoring::model::Model;
use crate::scoring::observation::day_of;
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
        let model = self.model_of(merchant, source).await?;
        let model = model.ok_or_else(|| ScoreError::NotComputed(source.clone()))?;
        ComputeRun::begin(self.clone(), (merchant.clone(), source.clone()), model, mode, clock).await
    }

    /// Makes everyone who is enrolled due for a source, so that the next run computes everyone again; how many people that are.
    ///
    /// # Errors
    /// The database's.
    pub async fn compute_all(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        now: Timestamp,
    ) -> Result<usize, DatabaseError> {
        let (merchant, source) = (merchant.clone(), source.clone());
        self.database.write(move |conn| due::mark_all_due(conn, &merchant, &source, now)).await
    }

    /// The model by which a source computes; none for one that doesn't compute.
    ///
    /// # Errors
    /// The database's.
    pub async fn model_of(&self, merchant: &MerchantId, source: &SourceName) -> Result<Option<Model>, DatabaseError> {
        let (merchant, source) = (merchant.clone(), source.clone());
        self.database.read(move |conn| store::find_model_of(conn, &merchant, &source)).await
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
    /// them.
    pub async fn keep_computing(self, clock: Clock, cancel: CancellationToken) {
        static OUTAGE: Outage = Outage::new("scores can't be computed", "they are computed again");
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = looks.tick() => {}
            }
            let all = async {
                let today = day_of(clock.now());
                let sources = self.database.read(move |conn: &mut AnyConnection| store::list_due_sources(conn, today));
                for (merchant, source) in sources.await? {
                    match self.compute(&merchant, &source, Mode::Write, clock.clone()).await {
                        Ok(mut run) => while run.step().await?.is_some() {},
                        Err(ScoreError::UnderWay | ScoreError::NotComputed(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                result = all => match result {
                    // Another replica does the rest.
                    Ok(()) | Err(ScoreError::UnderWay) => OUTAGE.succeeded(),
                    Err(error) => OUTAGE.failed(&error),
                },
            }
        }
    }
}
