//! The one writer of grants, limits, redemptions and audit events.
//!
//! Everything that must be provable later passes through here: a check is admitted, its grant,
//! its limit use and its event are committed in one transaction, and only then does a
//! [`Recorded`] exist, without which no token can be signed. One thread per process writes; while
//! one batch commits, the next gathers.
//!
//! These must stay inside the transaction, and in this order (`write/batch.rs`): idempotency keys,
//! subjects, limit counters, grants' locks, then the log heads last. Everyone locks in that order
//! and sorted within each, so that two replicas can't wait for each other; and the heads, which
//! every batch of a merchant needs, are held for the shortest time. A referral that a person decides
//! (`cases/referral.rs`) is locked before all of these, and no batch locks one. Opening one locks its person's
//! row; an erasure locks that row before the referrals.
//!
//! What it holds goes in two ways: `retention/erasure.rs` destroys what names a person, `retention/pruning/` takes the
//! bodies of old events away. Neither touches a leaf hash, so every proof goes on holding. Facts of an event name
//! a person by their pseudonym only, as `subject`: by that they are found for their record (`read/person.rs`),
//! and what is personal beside it is sealed under their secret.
//!
//! - `write/`: the one thread, its batches and transactions: checks (`check`), redemptions, limits (`admission`), heads
//! - `cases/`, `grants/`, `retention/`: what people decide, how grants end, what is forgotten
//! - `read/`, `idempotency/`: the log read back, and the same answer to the same request
//! - `entry`, `events`, `recorded`: what is handed in, how it is written, and the proof that it was; `store/`: the rows
//!
//! To record something new: give it an event kind, write its rows and its event in one
//! [`Ledger::change`], or, when it is hot, make it a kind of `write::writer::Job`.

pub mod cases;
mod context;
pub mod entry;
mod error;
pub mod events;
pub mod grants;
pub mod idempotency;
pub mod origin;
pub mod read;
mod recorded;
pub mod retention;
pub mod store;
pub mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use context::WriterContext;
pub use error::LedgerError;
pub use read::published::PublishedKeys;
pub use recorded::Recorded;

use crate::database::{Abort, AnyConnection, DatabaseError};
use crate::decision::decided::Decided;
use crate::foundation::ids::{CheckId, EventId, GrantId, MerchantId};
use crate::foundation::subject::{Pseudonym, hex};
use crate::telemetry::Outage;
use entry::{CheckEntry, CheckRecord, EventDraft, Grant, Idempotency, RedeemEntry, Redeemed};
use read::searches::Searches;
use write::batch::CheckOutcome;
use write::transaction::{Transaction, Turn};
use write::writer::{Job, Reply, Writer, WriterState};

/// The time for which an idempotency key stands for its first answer.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_hours(24);

/// The time after an entry's deadline in which its caller still hears what became of it.
const GRACE: Duration = Duration::from_secs(1);

/// Between two looks at a ledger that failed.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// The longest time a look at the database may take.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(3);

/// Between two sweeps of what has expired.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// The handle of the one writer; cheap to clone. The writer ends when the last handle is dropped.
#[derive(Clone)]
pub struct Ledger {
    queue: mpsc::Sender<Job>,
    context: WriterContext,
    /// Closed when the writer's thread is over.
    running: watch::Receiver<()>,
    writer: Arc<WriterState>,
    /// True if the database's files may hold what an erasure deleted.
    purge_pending: Arc<AtomicBool>,
    searches: Searches,
}

impl Ledger {
    /// Starts the writer's thread. `queue` bounds what may wait, `largest_batch` what one
    /// transaction takes.
    ///
    /// # Errors
    /// When the thread can't be made.
    pub fn start(context: WriterContext, queue: usize, largest_batch: usize) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let state = Arc::<WriterState>::default();
        let writer = Writer::new(context.clone(), receiver, largest_batch.max(1), state.clone());
        let (ended, running) = watch::channel(());
        std::thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            writer.run();
            drop(ended);
        })?;
        Ok(Self {
            queue: sender,
            context,
            running,
            writer: state,
            purge_pending: Arc::default(),
            searches: Searches::default(),
        })
    }

    /// Waits until the writer has emptied its queue and closed its connection. Drop every handle
    /// after asking for this and before awaiting it: it ends with the last of them.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut running = self.running.clone();
        async move { while running.changed().await.is_ok() {} }
    }

    /// A caller's idempotency key and request as they are kept. Clients build keys from member
    /// numbers and the request names a person, so neither is stored as it is, nor by a hash that
    /// anybody could try handles against.
    pub fn idempotency(&self, key: &str, request_hash: [u8; 32]) -> Idempotency {
        Idempotency {
            key: hex(&self.context.keyring.blind(&[b"key\0", key.as_bytes()])),
            request_hash: self.context.keyring.blind(&[b"request\0", &request_hash]),
        }
    }

    /// A door's attempt as it is kept, for the same reason.
    pub fn attempt(&self, attempt: &str) -> String {
        hex(&self.context.keyring.blind(&[b"attempt\0", attempt.as_bytes()]))
    }

    /// Admits and records a check, or replays the answer recorded for its idempotency key.
    pub async fn check(&self, entry: CheckEntry) -> Result<Recorded<CheckRecord>, LedgerError> {
        let until = entry.deadline + GRACE;
        match self.submit(|reply| Job::Check(Box::new(entry), reply), until).await? {
            CheckOutcome::Recorded(record) => Ok(Recorded::new(*record)),
            CheckOutcome::KeyReused => Err(LedgerError::KeyReused),
        }
    }

    /// The answer that [`Ledger::check`] would give now. Nothing is recorded and nothing is promised.
    pub async fn preview(&self, entry: CheckEntry) -> Result<Decided, LedgerError> {
        let context = self.context.clone();
        Ok(self.context.database.read(move |conn| write::batch::preview(conn, &context, &entry)).await?)
    }

    /// The pseudonym that the check's subject goes by; a new one for someone whom nobody knows.
    pub async fn pseudonym_of(&self, entry: CheckEntry) -> Result<Pseudonym, LedgerError> {
        let context = self.context.clone();
        let read = self.context.database.read(move |conn| write::subjects::guess(conn, &context, &entry));
        Ok(read.await?.pseudonym)
    }

    /// A check of the merchant as it was recorded.
    pub async fn find_check(
        &self,
        merchant: &MerchantId,
        check: &CheckId,
    ) -> Result<Option<Recorded<CheckRecord>>, LedgerError> {
        let (keyring, merchant, check) = (self.context.keyring.clone(), merchant.clone(), check.clone());
        self.context
            .database
            .read(move |conn| idempotency::replay::recorded_check(conn, &keyring, &merchant, &check))
            .await
    }

    /// A grant of the merchant and what became of it.
    pub async fn find_grant(
        &self,
        merchant: &MerchantId,
        grant: &GrantId,
    ) -> Result<Option<idempotency::replay::GrantRecord>, LedgerError> {
        let (keyring, merchant, grant) = (self.context.keyring.clone(), merchant.clone(), grant.clone());
        self.context.database.read(move |conn| idempotency::replay::find_grant(conn, &keyring, &merchant, &grant)).await
    }

    /// The state of a grant of the merchant now.
    pub async fn find_standing(
        &self,
        merchant: &MerchantId,
        grant: &GrantId,
    ) -> Result<Option<idempotency::replay::GrantState>, LedgerError> {
        let (merchant, grant, now) = (merchant.clone(), grant.clone(), self.context.clock.now());
        Ok(self
            .context
            .database
            .read(move |conn| idempotency::replay::find_standing(conn, &merchant, &grant, now))
            .await?)
    }

    /// Spends a token, once.
    pub async fn redeem(&self, entry: RedeemEntry) -> Result<Redeemed, LedgerError> {
        let until = entry.deadline + GRACE;
        self.submit(|reply| Job::Redeem(Box::new(entry), reply), until).await
    }

    async fn submit<T>(&self, job: impl FnOnce(Reply<T>) -> Job, until: Instant) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(job(reply)).map_err(|_| LedgerError::Busy)?;
        settled(answer, until).await?
    }

    /// Runs an administrative write in one transaction with its audit events.
    pub async fn change<T, E>(
        &self,
        f: impl FnOnce(&mut AnyConnection, &mut Vec<EventDraft>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LedgerError> + From<DatabaseError> + Send + 'static,
    {
        let work = move |tx: &mut Transaction<'_>, turn: &Turn| {
            let mut drafts = Vec::new();
            let value = f(tx.conn, &mut drafts).map_err(Abort::Refused)?;
            tx.append_drafts(turn, drafts)?;
            Ok(value)
        };
        self.in_writer(None, work).await
    }

    /// Runs `work` in a transaction of its own on the writer's thread. `event` is one that only this work writes; without
    /// it, `work` writes the one of its turn, if any.
    ///
    /// # Errors
    /// The errors of `work`, after rolling back; [`LedgerError::Busy`] before it began, and [`LedgerError::InDoubt`]
    /// when nobody can say in time whether it was committed.
    pub(crate) async fn in_writer<T, E>(
        &self,
        event: Option<EventId>,
        work: impl FnOnce(&mut Transaction<'_>, &Turn) -> Result<T, Abort<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LedgerError> + From<DatabaseError> + Send + 'static,
    {
        self.in_writer_until(self.change_deadline(), event, work).await
    }

    async fn in_writer_until<T, E>(
        &self,
        until: Instant,
        event: Option<EventId>,
        work: impl FnOnce(&mut Transaction<'_>, &Turn) -> Result<T, Abort<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LedgerError> + From<DatabaseError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Job::Alone(Box::new(move |writer: &mut Writer| {
            // A caller that gave up was told to look. What is done later says of itself when it was asked for, and an
            // auditor takes no more than a minute between that and its event.
            if !reply.is_closed() {
                let turn = writer.turn(event);
                let marker = [turn.event.as_str().to_owned()];
                let done = writer.attempt(move |tx| work(tx, &turn), &marker);
                let _ = reply.send(done.map_err(Abort::into_error));
            }
        }));
        self.queue.try_send(job).map_err(|_| LedgerError::Busy)?;
        settled(answer, until).await?
    }

    /// Until when the caller of an administrative change waits: a little less than for its whole request, so
    /// that there is time to answer what became of it.
    fn change_deadline(&self) -> Instant {
        Instant::now() + self.context.patience * 9 / 10
    }

    /// Tells whether the last transaction failed for a reason that the next will meet too.
    pub fn is_failing(&self) -> bool {
        self.writer.failing.load(Ordering::Relaxed)
    }

    /// Number of entries that wait for the writer, and the most that may.
    #[must_use]
    pub fn queue(&self) -> (usize, usize) {
        let limit = self.queue.max_capacity();
        (limit.saturating_sub(self.queue.capacity()), limit)
    }

    /// Number of limits that people share and that are nearly used up, as far as this process's checks have seen.
    #[must_use]
    pub fn limits_near_full(&self) -> usize {
        self.writer.near_full.count(self.context.clock.now())
    }

    /// Number of logs, and the number of events they have together.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn log_totals(&self) -> Result<(u64, u64), DatabaseError> {
        self.context.database.read(store::heads::sum_heads).await
    }

    /// Looks after what no request does, until cancelled: a ledger that failed is tried again, so
    /// that its readiness follows the database and not the next request; what has expired or lapsed
    /// for good is forgotten (`retention/sweep.rs`); at first the operator's log is told of the keys that it doesn't
    /// know (`write/gateway_keys.rs`).
    pub async fn tend(self, cancel: CancellationToken) {
        let mut swept = Instant::now();
        let sweeping = Outage::new("uses that no window reaches can't be forgotten", "they are forgotten again");
        tokio::select! {
            () = cancel.cancelled() => return,
            told = self.tell_of_keys() => if let Err(error) = told {
                tracing::warn!(%error, "could not tell the operator's log of the gateway's keys");
            }
        }
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(TRY_AGAIN_EVERY) => {}
            }
            // A database that hangs must hold up neither this nor the end of the process.
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.tend_once(&mut swept, &sweeping) => {}
            }
        }
    }

    async fn tend_once(&self, swept: &mut Instant, sweeping: &Outage) {
        // What happens to the database is noticed without a request, too.
        let _ = tokio::time::timeout(CONFIRM_PATIENCE, self.context.database.confirm()).await;
        if self.is_failing() {
            let _ = self.change(|_, _| Ok::<_, LedgerError>(())).await;
        }
        if swept.elapsed() >= SWEEP_EVERY {
            *swept = Instant::now();
            self.sweep_keys().await;
            match self.sweep_uses().await {
                Ok(_) => sweeping.succeeded(),
                Err(error) => sweeping.failed(&error),
            }
            self.purge_pending_rows();
        }
    }

    /// The context that the ledger works with: for reading back what it wrote.
    pub const fn context(&self) -> &WriterContext {
        &self.context
    }
}

/// Waits for the writer's word. Without it nobody can say what became of the request: it may be
/// under way in a database that hangs, or have been when the thread ended.
async fn settled<T>(answer: oneshot::Receiver<T>, until: Instant) -> Result<T, LedgerError> {
    match tokio::time::timeout_at(until.into(), answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(LedgerError::InDoubt),
    }
}

impl Recorded<CheckRecord> {
    /// The grant that was recorded with the check.
    pub fn grant(&self) -> Option<Recorded<Grant>> {
        self.get().grant.clone().map(Recorded::new)
    }
}
