//! Handing work to the writer's thread, and waiting for what became of it.
//!
//! There is one way in ([`WriterHandle::submit`]): a bounded queue that is never waited for, and an answer that is
//! waited for until a deadline. A job whose caller has given up by the time the writer comes to it is not done: the
//! caller heard that nobody knows, looked, and may have asked again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::batch::CheckOutcome;
use super::gathered::Reply;
use super::known::KnownSubjects;
use super::prepared::PreparedCheck;
use super::subjects::Subject;
use super::transaction::{Transaction, WorkStamp};
use super::writer::{Job, Writer, WriterState};
use crate::database::{Abort, AnyConnection, DatabaseError};
use crate::foundation::ids::EventId;
use crate::ledger::LedgerError;
use crate::ledger::context::WriterContext;
use crate::ledger::door::{RedeemEntry, Redeemed};
use crate::ledger::entry::{CheckEntry, EventDraft};

/// The time after an entry's deadline in which its caller still hears what became of it.
const GRACE: Duration = Duration::from_secs(1);

/// The side of the writer that callers see; cheap to clone. The writer ends when the last one is dropped.
#[derive(Clone)]
pub(crate) struct WriterHandle {
    queue: mpsc::Sender<Job>,
    pub context: WriterContext,
    subjects: KnownSubjects<Subject>,
    /// Closed when the writer's thread is over.
    running: watch::Receiver<()>,
    state: Arc<WriterState>,
}

/// The load of the writer at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterLoad {
    /// Number of entries that wait for the writer.
    pub waiting: usize,
    /// The most that may wait.
    pub capacity: usize,
    /// Number of limits that people share and that are nearly used up, as far as this process's checks have seen.
    pub limits_near_full: usize,
}

impl WriterHandle {
    /// Starts the thread; `queue` bounds the jobs that wait, `largest_batch` the entries of one transaction.
    pub(crate) fn start(context: WriterContext, queue: usize, largest_batch: usize) -> std::io::Result<Self> {
        let (queue, receiver) = mpsc::channel(queue.max(1));
        let state = Arc::<WriterState>::default();
        let subjects = KnownSubjects::new();
        let writer = Writer::new(context.clone(), receiver, largest_batch.max(1), state.clone(), subjects.clone());
        let (ended, running) = watch::channel(());
        std::thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            writer.run();
            drop(ended);
        })?;
        Ok(Self { queue, context, subjects, running, state })
    }

    /// Waits until the writer has emptied its queue and closed its connection. Holds no handle.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut running = self.running.clone();
        async move { while running.changed().await.is_ok() {} }
    }

    /// Records a check, in a batch with whatever waits beside it.
    pub(crate) async fn check(&self, entry: CheckEntry) -> Result<CheckOutcome, LedgerError> {
        let until = entry.deadline + GRACE;
        let entry = PreparedCheck::new(&self.context, &self.subjects, entry);
        self.submit(|reply| Job::Check(Box::new(entry), reply), until).await
    }

    /// Records a redemption, in a batch with whatever waits beside it.
    pub(crate) async fn redeem(&self, entry: RedeemEntry) -> Result<Redeemed, LedgerError> {
        let until = entry.deadline + GRACE;
        self.submit(|reply| Job::Redeem(Box::new(entry), reply), until).await
    }

    /// Runs an administrative write in one transaction with its audit events, which `f` pushes.
    pub(crate) async fn change<T, E>(
        &self,
        f: impl FnOnce(&mut AnyConnection, &mut Vec<EventDraft>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LedgerError> + From<DatabaseError> + Send + 'static,
    {
        let work = move |tx: &mut Transaction<'_>, stamp: &WorkStamp| {
            let mut drafts = Vec::new();
            let value = f(tx.conn, &mut drafts).map_err(Abort::Refused)?;
            tx.append_drafts(stamp, drafts)?;
            Ok(value)
        };
        self.in_writer(None, work).await
    }

    /// Runs `work` in a transaction of its own on the writer's thread. `event` is one that only this work writes;
    /// without it, `work` writes the one of its stamp, if any.
    ///
    /// # Errors
    /// The errors of `work`, after rolling back; [`LedgerError::Busy`] before it began, and [`LedgerError::InDoubt`]
    /// when nobody can say in time whether it was committed.
    pub(crate) async fn in_writer<T, E>(
        &self,
        event: Option<EventId>,
        work: impl FnOnce(&mut Transaction<'_>, &WorkStamp) -> Result<T, Abort<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LedgerError> + From<DatabaseError> + Send + 'static,
    {
        self.in_writer_until(self.deadline(), event, work).await
    }

    /// [`WriterHandle::in_writer`] with the caller's own deadline.
    pub(crate) async fn in_writer_until<T, E>(
        &self,
        until: Instant,
        event: Option<EventId>,
        work: impl FnOnce(&mut Transaction<'_>, &WorkStamp) -> Result<T, Abort<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LedgerError> + From<DatabaseError> + Send + 'static,
    {
        let job = |reply: Reply<T, E>| {
            Job::Alone(Box::new(move |writer: &mut Writer| {
                // A caller that gave up looks for itself. What is done later says of itself when it was asked for, and
                // an auditor takes no more than a minute between that and its event.
                if !reply.is_closed() {
                    let stamp = writer.stamp(event);
                    let marker = [stamp.event.as_str().to_owned()];
                    let done = writer.attempt(move |tx| work(tx, &stamp), &marker);
                    let _ = reply.send(done.map_err(Abort::into_error));
                }
            }))
        };
        self.submit(job, until).await
    }

    /// Until when the caller of an administrative change waits: a little less than for its whole request, so
    /// that there is time to answer what became of it.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.context.patience * 9 / 10
    }

    /// Queues a job and waits for the writer's word. Without it nobody can say what became of the job: it may be
    /// under way in a database that hangs, or have been when the thread ended.
    async fn submit<T, E: From<LedgerError>>(
        &self,
        job: impl FnOnce(Reply<T, E>) -> Job,
        until: Instant,
    ) -> Result<T, E> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(job(reply)).map_err(|_| LedgerError::Busy)?;
        match tokio::time::timeout_at(until.into(), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(LedgerError::InDoubt.into()),
        }
    }

    /// Tells whether the last transaction failed for a reason that the next will meet too.
    pub(crate) fn is_failing(&self) -> bool {
        self.state.failing.load(Ordering::Relaxed)
    }

    /// The load of the writer now.
    pub(crate) fn load(&self) -> WriterLoad {
        let capacity = self.queue.max_capacity();
        WriterLoad {
            waiting: capacity.saturating_sub(self.queue.capacity()),
            capacity,
            limits_near_full: self.state.near_full.count(self.context.clock.now()),
        }
    }
}
