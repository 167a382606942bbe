//! The writer's thread: gathers what waits into batches, commits them, and answers.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::append::KnownLogs;
use super::batch::{self, CheckOutcome, Outcomes};
use super::near_full::NearFull;
use super::transaction::{Transaction, WorkStamp};
use crate::database::followed::lock_epoch;
use crate::database::session::{Session, Unfinished};
use crate::database::{Abort, AnyConnection, DatabaseError};
use crate::foundation::ids::EventId;
use crate::keyring::EPOCH;
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{CheckEntry, RedeemEntry, Redeemed};
use crate::ledger::{LedgerError, store};
use crate::telemetry::{Outage, meters};

/// The channel of the answer that a caller waits for.
pub(crate) type Reply<T, E = LedgerError> = oneshot::Sender<Result<T, E>>;

/// The work that the writer is asked to do, with the caller that waits for it.
pub(crate) enum Job {
    /// Together with whatever waits beside it.
    Check(Box<CheckEntry>, Reply<CheckOutcome>),
    Redeem(Box<RedeemEntry>, Reply<Redeemed>),
    /// In a transaction of its own.
    Alone(Box<dyn FnOnce(&mut Writer) + Send>),
}

/// The entries that one transaction records, with the caller that waits for each.
#[derive(Default)]
struct Batch {
    checks: Vec<(Arc<CheckEntry>, Reply<CheckOutcome>)>,
    redemptions: Vec<(Arc<RedeemEntry>, Reply<Redeemed>)>,
}

impl Batch {
    fn len(&self) -> usize {
        self.checks.len() + self.redemptions.len()
    }

    /// Those for which nobody waits any more are answered and left out.
    fn leave_out_late(&mut self, now: Instant) {
        for (_, reply) in self.checks.extract_if(.., |(it, reply)| it.deadline <= now || reply.is_closed()) {
            let _ = reply.send(Err(LedgerError::Busy));
        }
        for (_, reply) in self.redemptions.extract_if(.., |(it, reply)| it.deadline <= now || reply.is_closed()) {
            let _ = reply.send(Err(LedgerError::Busy));
        }
    }

    /// The ids of the events that it may write: replays write none, so any of them tells.
    fn event_ids(&self) -> Vec<String> {
        let checks = self.checks.iter().map(|(it, _)| &it.event);
        let events = checks.chain(self.redemptions.iter().map(|(it, _)| &it.event));
        events.map(|event| event.as_str().to_owned()).collect()
    }

    fn one_by_one(self) -> impl Iterator<Item = Self> {
        let checks = self.checks.into_iter().map(|it| Self { checks: vec![it], ..Self::default() });
        checks.chain(self.redemptions.into_iter().map(|it| Self { redemptions: vec![it], ..Self::default() }))
    }

    fn fail(self, error: &DatabaseError) {
        for (_, reply) in self.checks {
            let _ = reply.send(Err(LedgerError::from(error)));
        }
        for (_, reply) in self.redemptions {
            let _ = reply.send(Err(LedgerError::from(error)));
        }
    }

    fn answer(self, recorded: Outcomes) {
        for ((_, reply), outcome) in self.checks.into_iter().zip(recorded.checks) {
            let _ = reply.send(Ok(outcome));
        }
        for ((_, reply), outcome) in self.redemptions.into_iter().zip(recorded.redemptions) {
            let _ = reply.send(Ok(outcome));
        }
    }
}

/// The state of the writer, as its handles see it.
#[derive(Default)]
pub(crate) struct WriterState {
    /// True if the last transaction failed for a reason that the next will meet too.
    pub failing: AtomicBool,
    pub near_full: NearFull,
}

/// The one writer of a process.
pub(crate) struct Writer {
    context: WriterContext,
    queue: mpsc::Receiver<Job>,
    largest_batch: usize,
    /// Taken from the queue, but not part of the batch that was gathered.
    carried: VecDeque<Job>,
    session: Session,
    logs: KnownLogs,
    seen: Arc<WriterState>,
    outage: Outage,
}

/// A deadlock's victim is run again this often before its callers get the error.
pub(crate) const MAX_TRIES: usize = 3;

impl Writer {
    pub(crate) fn new(
        context: WriterContext,
        queue: mpsc::Receiver<Job>,
        largest_batch: usize,
        seen: Arc<WriterState>,
    ) -> Self {
        let session = Session::new(context.database.clone());
        let outage = Outage::new("the ledger can't record", "the ledger records again");
        let logs = KnownLogs::new();
        context.database.find_with(logs.finder());
        Self { context, queue, largest_batch, carried: VecDeque::new(), session, logs, seen, outage }
    }

    /// Works until every handle is dropped and the queue is empty.
    pub(crate) fn run(mut self) {
        while let Some(job) = self.next() {
            let mut batch = Batch::default();
            match job {
                Job::Alone(work) => {
                    work(&mut self);
                    continue;
                }
                Job::Check(check, reply) => {
                    let scope = idempotency_scope(&check);
                    batch.checks.push((check.into(), reply));
                    self.gather(&mut batch, scope);
                }
                Job::Redeem(entry, reply) => {
                    batch.redemptions.push((entry.into(), reply));
                    self.gather(&mut batch, None);
                }
            }
            meters().ledger_batch.record(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
            self.commit(batch, MAX_TRIES);
        }
    }

    fn next(&mut self) -> Option<Job> {
        self.carried.pop_front().or_else(|| self.queue.blocking_recv())
    }

    /// Takes what already waits: there is no timer, a batch is what gathered while the last one
    /// committed. Two requests under one idempotency key never share a batch, so that the second
    /// finds the first committed.
    fn gather(&mut self, batch: &mut Batch, scope: Option<(String, String)>) {
        let mut keys = HashSet::new();
        keys.extend(scope);
        let mut aside = Vec::new();
        while batch.len() < self.largest_batch {
            match self.carried.pop_front().or_else(|| self.queue.try_recv().ok()) {
                Some(Job::Check(check, reply)) => {
                    if let Some(scope) = idempotency_scope(&check)
                        && !keys.insert(scope)
                    {
                        // For the next batch; those behind it need not wait for it.
                        aside.push(Job::Check(check, reply));
                    } else {
                        batch.checks.push((check.into(), reply));
                    }
                }
                Some(Job::Redeem(entry, reply)) => batch.redemptions.push((entry.into(), reply)),
                Some(work @ Job::Alone(_)) => {
                    self.carried.push_front(work);
                    break;
                }
                None => break,
            }
        }
        for job in aside.into_iter().rev() {
            self.carried.push_front(job);
        }
    }

    fn commit(&mut self, mut batch: Batch, tries: usize) {
        for tried in 1.. {
            batch.leave_out_late(Instant::now());
            if batch.len() == 0 {
                return;
            }
            let checks: Vec<Arc<CheckEntry>> = batch.checks.iter().map(|(it, _)| it.clone()).collect();
            let redemptions: Vec<Arc<RedeemEntry>> = batch.redemptions.iter().map(|(it, _)| it.clone()).collect();
            let work = move |tx: &mut Transaction<'_>| {
                let checks: Vec<&CheckEntry> = checks.iter().map(Arc::as_ref).collect();
                let redemptions: Vec<&RedeemEntry> = redemptions.iter().map(Arc::as_ref).collect();
                batch::record(tx, &checks, &redemptions).map_err(Abort::<Infallible>::Database)
            };
            let error = match self.attempt(work, &batch.event_ids()) {
                Ok(outcomes) => {
                    let checks = batch.checks.iter().map(|(check, _)| check.as_ref());
                    self.seen.near_full.note(checks.zip(&outcomes.checks));
                    return batch.answer(outcomes);
                }
                Err(abort) => abort.into_database_error(),
            };
            match &error {
                DatabaseError::Conflict | DatabaseError::Unclassified(_) if tried < tries => {}
                // Cut off before the commit was sent: once more, on another connection.
                DatabaseError::Unavailable(_) if tried < tries.min(2) => {}
                // One of them may be what can't be stored; the others must not pay for it.
                error
                    if batch.len() > 1 && (!error.is_passing() || matches!(error, DatabaseError::Unclassified(_))) =>
                {
                    tracing::warn!(%error, entries = batch.len(), "a batch failed: recording its entries one by one");
                    for alone in batch.one_by_one() {
                        self.commit(alone, 1);
                    }
                    return;
                }
                error => {
                    // A failure that passes is logged by the outage, once.
                    if !error.is_passing() {
                        tracing::error!(%error, "the ledger could not record an entry");
                    }
                    return batch.fail(error);
                }
            }
        }
    }

    /// The stamp of a piece of work that begins now and is found again by `event`, or by one that is made now.
    pub(crate) fn stamp(&self, event: Option<EventId>) -> WorkStamp {
        let at = self.context.clock.now();
        WorkStamp { at, event: event.unwrap_or_else(|| EventId::new(at, &self.context.entropy)) }
    }

    /// One transaction. When the connection dies or falls silent during the commit, nobody knows at first
    /// whether it took; `markers`, event ids that only this transaction writes, tell afterwards.
    pub(crate) fn attempt<T, E>(
        &mut self,
        f: impl FnOnce(&mut Transaction<'_>) -> Result<T, Abort<E>> + Send + 'static,
        markers: &[String],
    ) -> Result<T, Abort<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let began = Instant::now();
        let result = self.transact(f, markers);
        meters().ledger_commit.record(began.elapsed());
        match &result {
            Err(Abort::Database(error)) if !error.is_about_the_data() => {
                self.seen.failing.store(true, Ordering::Relaxed);
                self.outage.failed(error);
            }
            _ => {
                self.seen.failing.store(false, Ordering::Relaxed);
                self.outage.succeeded();
            }
        }
        result
    }

    fn transact<T, E>(
        &mut self,
        f: impl FnOnce(&mut Transaction<'_>) -> Result<T, Abort<E>> + Send + 'static,
        markers: &[String],
    ) -> Result<T, Abort<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let database = self.context.database.clone();
        database.inspect()?;
        let turn = database.turn(true);
        // What the transaction learns of logs comes back only with its commit: a log made in one that fails is
        // lost with it.
        let (context, mut logs, guarded) = (self.context.clone(), self.logs.clone(), database.clone());
        let work = move |conn: &mut AnyConnection| {
            let value = f(&mut Transaction { conn, context: &context, logs: &mut logs })?;
            logs.about_to_commit(&guarded, conn)?;
            Ok((value, logs))
        };
        let (value, logs) = match self.session.transaction(self.context.transaction_patience(), work) {
            Ok(done) => done,
            Err(Unfinished::Aborted(Abort::Database(DatabaseError::Mismatch(mismatch)))) => {
                return Err(Abort::Database(database.judge(mismatch, |conn| self.logs.are_continued(conn))));
            }
            Err(Unfinished::Aborted(abort)) => return Err(abort),
            Err(Unfinished::InDoubt(done, error)) => {
                drop(turn);
                tracing::debug!(%error, "the connection failed during a commit: asking whether it took");
                match self.took(markers) {
                    Ok(true) => done,
                    Ok(false) => return Err(Abort::Database(error)),
                    Err(silence) => {
                        tracing::debug!(error = %silence, "nobody can say whether the commit took");
                        return Err(Abort::Database(DatabaseError::InDoubt));
                    }
                }
            }
        };
        self.logs = logs;
        self.logs.keep();
        database.committed()?;
        Ok(value)
    }

    /// Tells whether a transaction whose commit was cut off is in the database. The old server process
    /// may still be committing: it holds the log heads until it is done, so they are locked first;
    /// a look without the lock could say no to what appears a moment later. A head that it made itself
    /// can't be seen to be locked, but then it holds the epoch of the keys, which new logs move on.
    fn took(&mut self, markers: &[String]) -> Result<bool, DatabaseError> {
        let database = self.context.database.clone();
        let _turn = database.turn(true);
        let markers = markers.to_vec();
        let look = move |conn: &mut AnyConnection| {
            lock_epoch(conn, EPOCH)?;
            store::lock_every_log(conn)?;
            Ok::<_, Abort<Infallible>>(store::any_event_exists(conn, &markers)?)
        };
        match self.session.transaction(self.context.transaction_patience(), look) {
            // It only read.
            Ok(found) | Err(Unfinished::InDoubt(found, _)) => Ok(found),
            Err(Unfinished::Aborted(abort)) => Err(abort.into_database_error()),
        }
    }
}

fn idempotency_scope(check: &CheckEntry) -> Option<(String, String)> {
    check.idempotency.as_ref().map(|it| (check.key.as_str().to_owned(), it.key.clone()))
}
