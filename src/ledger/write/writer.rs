//! The writer's thread: gathers what waits into batches, commits them, and answers.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;

use super::append::KnownLogs;
use super::at_once::Detour;
use super::batch::{self, CheckOutcome};
use super::gathered::{Batch, Reply};
use super::known::{Known, KnownSubjects};
use super::near_full::NearFull;
use super::prepared::PreparedCheck;
use super::subjects::Subject;
use super::transaction::{Transaction, WorkStamp};
use crate::database::followed::lock_epoch;
use crate::database::session::{Session, Unfinished};
use crate::database::{Abort, AnyConnection, DatabaseError};
use crate::foundation::ids::EventId;
use crate::keyring::EPOCH;
use crate::ledger::context::WriterContext;
use crate::ledger::door::{RedeemEntry, Redeemed};
use crate::ledger::entry::CheckEntry;
use crate::ledger::store;
use crate::telemetry::{Outage, meters};

/// The work that the writer is asked to do, with the caller that waits for it.
pub(crate) enum Job {
    /// Together with whatever waits beside it.
    Check(Box<PreparedCheck>, Reply<CheckOutcome>),
    Redeem(Box<RedeemEntry>, Reply<Redeemed>),
    /// In a transaction of its own.
    Alone(Box<dyn FnOnce(&mut Writer) + Send>),
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
    pub(super) context: WriterContext,
    queue: mpsc::Receiver<Job>,
    largest_batch: usize,
    /// Taken from the queue, but not part of the batch that was gathered.
    carried: VecDeque<Job>,
    pub(super) session: Session,
    pub(super) known: Known,
    /// How many batches go the long way before one is recorded at once again.
    pub(super) detour: Detour,
    seen: Arc<WriterState>,
    outage: Outage,
}

/// The message that was on its way when a connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// The end of a transaction, which holds its heads until it is over.
    Commit,
    /// A statement that is a transaction by itself: it may not have begun.
    Statement,
}

/// A deadlock's victim is run again this often before its callers get the error.
pub(crate) const MAX_TRIES: usize = 3;

impl Writer {
    pub(crate) fn new(
        context: WriterContext,
        queue: mpsc::Receiver<Job>,
        largest_batch: usize,
        seen: Arc<WriterState>,
        subjects: KnownSubjects<Subject>,
    ) -> Self {
        let session = Session::new(context.database.clone());
        let outage = Outage::new("the ledger can't record", "the ledger records again");
        let known = Known { logs: KnownLogs::new(), subjects };
        context.database.find_with(known.logs.finder());
        let detour = Detour::default();
        Self { context, queue, largest_batch, carried: VecDeque::new(), session, known, detour, seen, outage }
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
            let checks: Vec<Arc<PreparedCheck>> = batch.checks.iter().map(|(it, _)| it.clone()).collect();
            let redemptions: Vec<Arc<RedeemEntry>> = batch.redemptions.iter().map(|(it, _)| it.clone()).collect();
            let work = move |tx: &mut Transaction<'_>| {
                let checks: Vec<&PreparedCheck> = checks.iter().map(Arc::as_ref).collect();
                let redemptions: Vec<&RedeemEntry> = redemptions.iter().map(Arc::as_ref).collect();
                batch::record(tx, &checks, &redemptions).map_err(Abort::<Infallible>::Database)
            };
            let recorded = match self.record_at_once(&batch) {
                Some(recorded) => recorded,
                None => self.attempt(work, &batch.event_ids()),
            };
            let error = match recorded {
                Ok(outcomes) => {
                    let checks = batch.checks.iter().map(|(check, _)| &***check);
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
        self.note(began, &result);
        result
    }

    /// Notes how a transaction went that was begun at `began`.
    pub(super) fn note<T, E>(&mut self, began: Instant, result: &Result<T, Abort<E>>) {
        meters().ledger_commit.record(began.elapsed());
        match result {
            Err(Abort::Database(error)) if !error.is_about_the_data() => {
                self.seen.failing.store(true, Ordering::Relaxed);
                self.outage.failed(error);
            }
            _ => {
                self.seen.failing.store(false, Ordering::Relaxed);
                self.outage.succeeded();
            }
        }
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
        // What the transaction learns comes back only with its commit: a log made in one that fails is lost with it.
        let (context, mut known, guarded) = (self.context.clone(), self.known.clone(), database.clone());
        let work = move |conn: &mut AnyConnection| {
            let value = f(&mut Transaction { conn, context: &context, known: &mut known })?;
            known.logs.about_to_commit(&guarded, conn)?;
            Ok((value, known))
        };
        let (value, known) = match self.session.transaction(self.context.transaction_patience(), work) {
            Ok(done) => done,
            Err(Unfinished::Aborted(abort)) => return Err(self.judged(abort)),
            Err(Unfinished::InDoubt(done, error)) => {
                drop(turn);
                self.if_it_took(done, error, markers, Sent::Commit)?
            }
        };
        self.committed(known)?;
        Ok(value)
    }

    /// The error of a transaction that kept nothing: a mismatch is for good only if the logs say so, too.
    pub(super) fn judged<E>(&self, abort: Abort<E>) -> Abort<E> {
        let Abort::Database(DatabaseError::Mismatch(mismatch)) = abort else { return abort };
        let logs = &self.known.logs;
        Abort::Database(self.context.database.judge(mismatch, |conn| logs.are_continued(conn)))
    }

    /// Takes over what a committed transaction has learned.
    pub(super) fn committed(&mut self, known: Known) -> Result<(), DatabaseError> {
        self.known = known;
        self.known.logs.keep();
        self.known.subjects.keep(Instant::now());
        self.context.database.committed()
    }

    /// `done`, if the commit that was cut off by `error` took.
    pub(super) fn if_it_took<T>(
        &mut self,
        done: T,
        error: DatabaseError,
        markers: &[String],
        sent: Sent,
    ) -> Result<T, DatabaseError> {
        tracing::debug!(%error, "the connection failed during a commit: asking whether it took");
        match self.took(markers, sent) {
            Ok(true) => Ok(done),
            Ok(false) => Err(error),
            Err(silence) => {
                tracing::debug!(error = %silence, "nobody can say whether the commit took");
                Err(DatabaseError::InDoubt)
            }
        }
    }

    /// Tells whether a transaction whose commit was cut off is in the database. The old server process
    /// may still be committing: it holds the log heads until it is done, so they are locked first;
    /// a look without the lock could say no to what appears a moment later. A head that it made itself
    /// can't be seen to be locked, but then it holds the epoch of the keys, which new logs move on. A single statement
    /// may not even have begun, and holds nothing: the heads' rows get new versions, which it doesn't expect.
    fn took(&mut self, markers: &[String], sent: Sent) -> Result<bool, DatabaseError> {
        let database = self.context.database.clone();
        let _turn = database.turn(true);
        let markers = markers.to_vec();
        let look = move |conn: &mut AnyConnection| {
            lock_epoch(conn, EPOCH)?;
            store::lock_every_log(conn)?;
            let found = store::any_event_exists(conn, &markers)?;
            if !found && sent == Sent::Statement {
                store::touch_every_log(conn)?;
            }
            Ok::<_, Abort<Infallible>>(found)
        };
        match self.session.transaction(self.context.transaction_patience(), look) {
            Ok(found) | Err(Unfinished::InDoubt(found @ true, _)) => Ok(found),
            // What was sent may still come.
            Err(Unfinished::InDoubt(false, error)) if sent == Sent::Statement => Err(error),
            Err(Unfinished::InDoubt(false, _)) => Ok(false),
            Err(Unfinished::Aborted(abort)) => Err(abort.into_database_error()),
        }
    }
}

fn idempotency_scope(check: &CheckEntry) -> Option<(String, String)> {
    check.idempotency.as_ref().map(|it| (check.key.as_str().to_owned(), it.key.clone()))
}
