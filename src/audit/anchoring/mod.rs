//! Anchors: the logs' signed heads, copied outside on a schedule, where a holder of the log key can't
//! reach them. `audit verify --anchor` compares a history with them.
//!
//! Each replica anchors by itself: what one shows and another doesn't would be a finding, and no row
//! in the database, which is what anchors guard against, decides who does it. In a file that they
//! share no line stands twice; a webhook gets each line from each of them.

pub mod file;
pub mod line;
mod stdout;
mod webhook;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub use file::{AnchorFile, AnchorFileError};
pub use line::AnchorLine;
use stdout::StandardOutput;
pub use webhook::{Webhook, WebhookError};

use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::clock::Clock;
use crate::ledger::store::heads;
use crate::telemetry::{Outage, meters};

/// After a failure, unless the schedule is quicker.
const AGAIN_AFTER: Duration = Duration::from_mins(1);

/// Where anchors go, and how often.
#[derive(Debug, Clone)]
pub struct Anchoring {
    pub file: Option<PathBuf>,
    /// A line each on standard output, for whatever collects it.
    pub stdout: bool,
    pub webhook: Option<Webhook>,
    pub every: Duration,
}

/// One of the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    File,
    Stdout,
    Webhook,
}

impl Target {
    const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Stdout => "stdout",
            Self::Webhook => "webhook",
        }
    }
}

/// Why anchors are not where they should be.
#[derive(Debug, thiserror::Error)]
pub enum AnchoringError {
    #[error(transparent)]
    File(#[from] AnchorFileError),
    #[error("standard output can't be written: {0}")]
    Stdout(std::io::Error),
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The result of one round: the number of lines that each place got.
pub type Round = Vec<(Target, Result<usize, AnchoringError>)>;

/// Takes anchors outside; cheap to clone.
#[derive(Clone)]
pub struct Anchorer {
    database: Database,
    clock: Clock,
    to: Arc<Anchoring>,
    /// One round at a time.
    taken: Arc<Mutex<Taken>>,
}

/// The anchors that each place already has.
struct Taken {
    file: Option<AnchorFile>,
    stdout: Sizes,
    standard_output: StandardOutput,
    webhook: Sizes,
}

/// By origin, the size that was anchored last.
#[derive(Default)]
struct Sizes(HashMap<String, u64>);

impl Sizes {
    /// Those of logs that moved since.
    fn moved(&self, anchors: &[AnchorLine]) -> Vec<AnchorLine> {
        anchors.iter().filter(|anchor| self.0.get(&anchor.origin) != Some(&anchor.size)).cloned().collect()
    }

    fn take(&mut self, anchors: &[AnchorLine]) {
        self.0.extend(anchors.iter().map(|anchor| (anchor.origin.clone(), anchor.size)));
    }
}

impl Anchorer {
    #[must_use]
    pub fn new(database: Database, clock: Clock, to: Anchoring) -> Self {
        let file = to.file.as_deref().map(AnchorFile::new);
        let taken = Taken {
            file,
            stdout: Sizes::default(),
            standard_output: StandardOutput::default(),
            webhook: Sizes::default(),
        };
        Self { database, clock, to: Arc::new(to), taken: Arc::new(Mutex::new(taken)) }
    }

    /// Anchors at the start and on schedule, until cancelled; at once over when there is no place to
    /// anchor. What fails is logged and counted, is tried again soon, and is in nobody's way.
    pub async fn follow(self, cancel: CancellationToken) {
        if self.to.file.is_none() && !self.to.stdout && self.to.webhook.is_none() {
            return;
        }
        let reading = Outage::new("the logs' heads can't be read, so nothing is anchored", "they can be read again");
        loop {
            let round = tokio::select! {
                () = cancel.cancelled() => return,
                round = self.anchor_now() => round,
            };
            let failed = match round {
                Ok(round) => {
                    reading.succeeded();
                    round.iter().any(|(_, outcome)| outcome.is_err())
                }
                Err(error) => {
                    reading.failed(&error);
                    true
                }
            };
            let wait = if failed { self.to.every.min(AGAIN_AFTER) } else { self.to.every };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One round: takes the head of each log that moved to each place that doesn't have it.
    ///
    /// # Errors
    /// When the heads can't be read. What fails at one place is in the round.
    pub async fn anchor_now(&self) -> Result<Round, DatabaseError> {
        let mut taken = self.taken.lock().await;
        let anchors = current(&self.database, &self.clock).await?;
        let mut round = Vec::new();
        if let Some(file) = taken.file.take() {
            let (file, outcome) = append(file, anchors.clone()).await;
            taken.file = self.to.file.as_deref().map(|path| file.unwrap_or_else(|| AnchorFile::new(path)));
            round.push((Target::File, outcome));
        }
        if self.to.stdout {
            let moved = taken.stdout.moved(&anchors);
            let printed = taken.standard_output.print(moved).await;
            if let Ok(printed) = &printed {
                taken.stdout.take(printed);
            }
            let outcome = printed.map(|printed| printed.len()).map_err(AnchoringError::Stdout);
            round.push((Target::Stdout, outcome));
        }
        if let Some(webhook) = &self.to.webhook {
            let moved = taken.webhook.moved(&anchors);
            let outcome = webhook.post(&moved).await.map(|()| moved.len()).map_err(AnchoringError::from);
            if outcome.is_ok() {
                taken.webhook.take(&moved);
            }
            round.push((Target::Webhook, outcome));
        }
        for (target, outcome) in &round {
            tell(*target, outcome);
        }
        Ok(round)
    }
}

/// The signed heads of all logs as they stand.
///
/// # Errors
/// The database's.
pub async fn current(database: &Database, clock: &Clock) -> Result<Vec<AnchorLine>, DatabaseError> {
    let clock = clock.clone();
    database.read(move |conn| read_current(conn, &clock)).await
}

/// [`current`], on a connection.
///
/// # Errors
/// The database's.
pub fn read_current(conn: &mut AnyConnection, clock: &Clock) -> Result<Vec<AnchorLine>, DatabaseError> {
    let at = clock.now();
    let rows = heads::list_logs(conn)?;
    Ok(rows.iter().filter_map(|row| AnchorLine::of(&row.name, &row.checkpoint, at)).collect())
}

fn tell(target: Target, outcome: &Result<usize, AnchoringError>) {
    static FILE: Outage = Outage::new("anchors don't get to the file; they are tried again", "they get there again");
    static STDOUT: Outage = Outage::new("anchors don't get to stdout; they are tried again", "they get there again");
    static WEBHOOK: Outage =
        Outage::new("anchors don't get to the webhook; they are tried again", "they get there again");
    let outage = match target {
        Target::File => &FILE,
        Target::Stdout => &STDOUT,
        Target::Webhook => &WEBHOOK,
    };
    let target = target.as_str();
    let word = match outcome {
        Ok(0) => return,
        Ok(lines) => {
            outage.succeeded();
            tracing::debug!(place = target, lines, "anchored");
            "anchored"
        }
        Err(error) => {
            outage.failed(error);
            "failed"
        }
    };
    meters().anchor_rounds.count([target, word]);
}

/// Off the async threads; the file comes back unless its thread was lost.
async fn append(mut file: AnchorFile, anchors: Vec<AnchorLine>) -> (Option<AnchorFile>, Result<usize, AnchoringError>) {
    let work = tokio::task::spawn_blocking(move || {
        let outcome = file.append(&anchors).map_err(AnchoringError::from);
        (Some(file), outcome)
    });
    work.await.unwrap_or_else(|_| (None, Err(DatabaseError::Interrupted.into())))
}
