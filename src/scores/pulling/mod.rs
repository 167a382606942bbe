//! Scores and signals that are fetched from where they are, of the linked accounts of people who are enrolled.
//!
//! - `spec`: the declaration of such a source, with `template` for URLs and `presets` for known services
//! - `run`: a run, batch by batch; `session`: its requests, with budget, breaker and back-off; `limits`: what services say
//!   about how much they may be asked
//! - `connectors`: one file a service; `reading`: numbers and times out of other people's JSON; `outcome`: what came of it
//! - `proof`: whether a profile proves an account; `views`: the state as it is shown; `store`: the rows
//!
//! A service that doesn't answer says nothing: what was known stands, and ages. What it refuses or hides is unknown, never
//! 0. An account that is there no more, as it said twice, ends what is known from it.
//!
//! To add a service: a variant of [`spec::Connector`], a file in `connectors`, and its line in `connectors/mod.rs`.

mod connectors;
mod limits;
pub mod outcome;
mod presets;
mod proof;
mod reading;
pub mod run;
mod session;
pub mod spec;
mod store;
mod template;
pub mod views;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use secrecy::SecretString;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::outcome::{PullReport, Wait};
use self::run::PullRun;
use self::session::Session;
use self::spec::{Connector, Pull, PullSpec};
use super::computing::store::lease;
use super::enrolment::Enrolments;
use super::error::ScoreError;
use super::handle::Scores;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::outgoing::{Outgoing, Resolve};
use crate::telemetry::{Outage, meters};

/// Between two looks at who is due.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// The time after which a source leaves the rest for the next look, so that the others have their turn.
const TURN: Duration = Duration::from_mins(5);

/// The sources that are fetched at one time.
const AT_ONCE: usize = 8;

/// The longest secret that is read from a file.
const LONGEST_SECRET: usize = 4_096;

/// Fetches scores and signals; cheap to clone.
#[derive(Clone)]
pub struct Pulls {
    scores: Scores,
    enrolments: Arc<Enrolments>,
    outgoing: Outgoing,
    /// Where secrets are: a file `MERCHANT.SOURCE` for each source that needs one.
    secrets: Option<Arc<PathBuf>>,
    clock: Clock,
    entropy: Entropy,
}

impl Pulls {
    #[must_use]
    pub fn new(scores: Scores, enrolments: Arc<Enrolments>, outgoing: Outgoing, secrets: Option<PathBuf>) -> Self {
        let (clock, entropy) = (enrolments.context.clock.clone(), enrolments.context.entropy.clone());
        Self { scores, enrolments, outgoing, secrets: secrets.map(Arc::new), clock, entropy }
    }

    /// The same, with names resolved another way.
    #[must_use]
    pub fn resolved_by(&self, resolver: Arc<dyn Resolve>) -> Self {
        Self { outgoing: self.outgoing.resolved_by(resolver), ..self.clone() }
    }

    /// Begins to fetch a source for the accounts that are due. While nothing may be sent, the run is over at once, and its
    /// report says so.
    ///
    /// # Errors
    /// [`ScoreError::NotPulled`], [`ScoreError::UnderWay`], [`ScoreError::NoSecret`], [`ScoreError::Database`].
    pub async fn pull(&self, merchant: &MerchantId, source: &SourceName) -> Result<PullRun, ScoreError> {
        let of = (merchant.clone(), source.clone());
        let read = {
            let of = of.clone();
            move |conn: &mut AnyConnection| {
                let row = store::find(conn, &of.0, &of.1)?;
                Ok::<_, DatabaseError>((row, store::slug_of(conn, &of.0)?, store::refresh_of(conn, &of.0, &of.1)?))
            }
        };
        let (row, slug, refresh) = self.scores.database.read(read).await?;
        let row = row.ok_or_else(|| ScoreError::NotPulled(source.clone()))?;
        let pull = views::read_stored(&row.spec)?;
        let secret = self.secret_of(slug.as_deref().unwrap_or_default(), source).await;
        let needs_one = pull.score.as_ref().is_some_and(spec::ScorePull::needs_secret);
        if secret.is_none() && (needs_one || pull.connector == Connector::Youtube) {
            return Err(ScoreError::NoSecret(source.clone()));
        }
        let name = format!("pull {} {}", of.0.as_str(), of.1.as_str());
        let taken = name.clone();
        let fence = self.scores.database.write(move |conn: &mut AnyConnection| lease::take(conn, &taken)).await?;
        let fence = fence.ok_or(ScoreError::UnderWay)?;
        let session = Session {
            pulls: self.clone(),
            of,
            pull,
            secret,
            lease: (name, fence),
            failures: row.failures,
            requests: 0,
            answered_at: None,
            fault: None,
            hosts: BTreeMap::new(),
            spent: None,
        };
        let wait = Wait::ALL.into_iter().find(|wait| Some(wait.as_str()) == row.wait.as_deref());
        let until = (row.waits_until > self.clock.now().as_microsecond()).then_some(row.waits_until);
        PullRun::begin(session, refresh, until.zip(wait)).await
    }

    /// Fetches all sources, again and again until cancelled. Every replica may: a lease lets one of them.
    pub async fn keep_pulling(self, cancel: CancellationToken) {
        static OUTAGE: Outage = Outage::new("sources can't be fetched", "they are fetched again");
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
                result = self.pull_due(&mut failing) => match result {
                    Ok(()) => OUTAGE.succeeded(),
                    Err(error) => OUTAGE.failed(&error),
                },
            }
        }
    }

    /// Fetches every source for the accounts that are due, and notes in `failing` which of them can't be.
    ///
    /// # Errors
    /// [`ScoreError::Database`] when the sources can't be listed.
    pub async fn pull_due(&self, failing: &mut BTreeSet<(MerchantId, SourceName)>) -> Result<(), ScoreError> {
        let now = self.clock.now();
        let list = move |conn: &mut AnyConnection| {
            Ok::<_, DatabaseError>((store::list_ready(conn, now)?, store::count_waiting(conn, now)?))
        };
        let (ready, waiting) = self.scores.database.read(list).await?;
        for wait in Wait::ALL {
            let count = waiting.iter().find(|(word, _)| word == wait.as_str()).map_or(0, |(_, count)| *count);
            meters().pulls_waiting.set_count([wait.as_str()], count);
        }
        let each = ready.into_iter().map(|of| async {
            let outcome = self.pull_source(&of.0, &of.1).await;
            (of, outcome)
        });
        let mut outcomes = futures_util::stream::iter(each).buffer_unordered(AT_ONCE);
        while let Some((of, outcome)) = outcomes.next().await {
            let (merchant, source) = (of.0.as_str(), of.1.as_str());
            match outcome {
                Ok(PullReport { wait: None, .. }) => {
                    if failing.remove(&of) {
                        tracing::info!(merchant, source, "it is fetched again");
                    }
                }
                Ok(PullReport { wait, fault, .. }) => {
                    let (wait, fault) = (wait.unwrap_or_default(), fault.unwrap_or_default());
                    tracing::info!(merchant, source, wait, fault, "nothing is fetched for now");
                }
                Err(error) => {
                    if failing.insert(of.clone()) {
                        tracing::warn!(merchant, source, %error, "it can't be fetched");
                    }
                }
            }
        }
        Ok(())
    }

    async fn pull_source(&self, merchant: &MerchantId, source: &SourceName) -> Result<PullReport, ScoreError> {
        let began = Instant::now();
        let mut run = match self.pull(merchant, source).await {
            Ok(run) => run,
            // Another replica does it.
            Err(ScoreError::UnderWay) => return Ok(PullReport::default()),
            Err(error) => return Err(error),
        };
        loop {
            match run.step().await {
                Ok(Some(_)) if began.elapsed() < TURN => {}
                Ok(Some(_)) => {
                    run.leave().await?;
                    return Ok(run.report().clone());
                }
                Ok(None) => return Ok(run.report().clone()),
                Err(ScoreError::UnderWay) => return Ok(PullReport::default()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The operator's secret for a source of a merchant. A source can't be declared again, so it goes where it was meant to.
    async fn secret_of(&self, slug: &str, source: &SourceName) -> Option<SecretString> {
        let place = self.secrets.as_ref()?.join(format!("{slug}.{}", source.as_str()));
        let text = tokio::fs::read_to_string(place).await.ok()?;
        let text = text.trim();
        let fits = !text.is_empty() && text.len() <= LONGEST_SECRET && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| SecretString::from(text))
    }

    /// Reads a declaration of a source.
    ///
    /// # Errors
    /// [`ScoreError::Unfit`], pointed at from the source.
    pub fn read(spec: &PullSpec) -> Result<(Pull, PullSpec), ScoreError> {
        let below = |faults: Vec<FieldError>| faults.into_iter().map(|fault| fault.below("/pull")).collect();
        Pull::read(spec).map_err(|faults| ScoreError::Unfit(below(faults)))
    }
}
