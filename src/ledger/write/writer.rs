//! The writer's thread: gathers what waits into batches, commits them, and answers.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::append::{self, KnownLogs, Leaf};
use super::batch::{self, Entry, Outcome};
use super::near_full::NearFull;
use super::{gateway_keys, subjects};
use crate::database::followed::lock_epoch;
use crate::database::session::{Session, Unfinished};
use crate::database::{Abort, AnyConnection, Database, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::EventId;
use crate::keyring::{EPOCH, Keyring};
use crate::ledger::entry::{EventDraft, LogOwner};
use crate::ledger::events::Event;
use crate::ledger::{LedgerError, store};
use crate::telemetry::{Outage, meters};

/// What the writer works with.
#[derive(Clone)]
pub struct Means {
    pub database: Database,
    pub keyring: Keyring,
    pub clock: Clock,
    pub entropy: Entropy,
    /// What the origins of new logs begin with.
    pub log_origin: Arc<str>,
    /// How long a caller waits for an answer, at most.
    pub patience: Duration,
}

impl Means {
    /// How long one transaction may take, on a server that may hang: half of what a caller waits, so that
    /// there is time to ask on another connection whether it took.
    fn transaction_patience(&self) -> Duration {
        self.patience / 2
    }
}

/// An administrative write: its own transaction, run on the writer's thread.
pub(crate) type Change = Box<dyn FnOnce(&mut Writer) + Send>;

pub(crate) enum Job {
    Entry(Entry, oneshot::Sender<Result<Outcome, LedgerError>>),
    Change(Change),
}

type Waiting = (Arc<Entry>, oneshot::Sender<Result<Outcome, LedgerError>>);

/// The state of the writer, as its handles see it.
#[derive(Default)]
pub(crate) struct WriterState {
    /// Whether the last transaction failed for a reason that the next will meet too.
    pub failing: AtomicBool,
    pub near_full: NearFull,
}

/// The one writer of a process.
pub struct Writer {
    means: Means,
    queue: mpsc::Receiver<Job>,
    largest_batch: usize,
    /// Taken from the queue, but not part of the batch that was gathered.
    carried: VecDeque<Job>,
    session: Session,
    logs: KnownLogs,
    seen: Arc<WriterState>,
    outage: Outage,
}

/// A deadlock's victim is run again this often before its callers are told.
pub(crate) const MAX_TRIES: usize = 3;

impl Writer {
    pub(crate) fn new(means: Means, queue: mpsc::Receiver<Job>, largest_batch: usize, seen: Arc<WriterState>) -> Self {
        let session = Session::new(means.database.clone());
        let outage = Outage::new("the ledger can't record", "the ledger records again");
        let logs = KnownLogs::new();
        means.database.find_with(logs.finder());
        Self { means, queue, largest_batch, carried: VecDeque::new(), session, logs, seen, outage }
    }

    /// Works until every handle is gone and the queue is empty.
    pub(crate) fn run(mut self) {
        while let Some(job) = self.next() {
            match job {
                Job::Change(change) => change(&mut self),
                Job::Entry(entry, reply) => {
                    let batch = self.gather((Arc::new(entry), reply));
                    meters().ledger_batch.record(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
                    self.commit(batch, MAX_TRIES);
                }
            }
        }
    }

    fn next(&mut self) -> Option<Job> {
        self.carried.pop_front().or_else(|| self.queue.blocking_recv())
    }

    /// Takes what already waits: there is no timer, a batch is what gathered while the last one
    /// committed. Two requests under one idempotency key never share a batch, so that the second
    /// finds the first committed.
    fn gather(&mut self, first: Waiting) -> Vec<Waiting> {
        let mut keys = HashSet::new();
        keys.extend(idempotency_scope(&first.0));
        let mut batch = vec![first];
        let mut aside = Vec::new();
        while batch.len() < self.largest_batch {
            match self.carried.pop_front().or_else(|| self.queue.try_recv().ok()) {
                Some(Job::Entry(entry, reply)) => {
                    if let Some(scope) = idempotency_scope(&entry)
                        && !keys.insert(scope)
                    {
                        // For the next batch; those behind it need not wait for it.
                        aside.push(Job::Entry(entry, reply));
                    } else {
                        batch.push((Arc::new(entry), reply));
                    }
                }
                Some(change @ Job::Change(_)) => {
                    self.carried.push_front(change);
                    break;
                }
                None => break,
            }
        }
        for job in aside.into_iter().rev() {
            self.carried.push_front(job);
        }
        batch
    }

    fn commit(&mut self, mut batch: Vec<Waiting>, tries: usize) {
        for tried in 1.. {
            let now = Instant::now();
            let late: Vec<Waiting> =
                batch.extract_if(.., |(entry, reply)| batch::deadline(entry) <= now || reply.is_closed()).collect();
            for (_, reply) in late {
                let _ = reply.send(Err(LedgerError::Busy));
            }
            if batch.is_empty() {
                return;
            }
            let entries: Vec<Arc<Entry>> = batch.iter().map(|(entry, _)| entry.clone()).collect();
            let markers = event_ids(&entries);
            let work = move |conn: &mut AnyConnection, means: &Means, logs: &mut KnownLogs| {
                let entries: Vec<&Entry> = entries.iter().map(Arc::as_ref).collect();
                batch::record(conn, means, logs, &entries).map_err(Abort::<Infallible>::Database)
            };
            let error = match self.attempt(work, &markers) {
                Ok(outcomes) => {
                    self.seen.near_full.note(batch.iter().map(|(entry, _)| entry.as_ref()).zip(&outcomes));
                    for ((_, reply), outcome) in batch.into_iter().zip(outcomes) {
                        let _ = reply.send(Ok(outcome));
                    }
                    return;
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
                    for waiting in batch {
                        self.commit(vec![waiting], 1);
                    }
                    return;
                }
                error => {
                    // What passes is told by the outage, once.
                    if !error.is_passing() {
                        tracing::error!(%error, "the ledger could not record an entry");
                    }
                    for (_, reply) in batch {
                        let _ = reply.send(Err(LedgerError::from(error)));
                    }
                    return;
                }
            }
        }
    }

    /// The instant at which a change is made.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.means.clock.now()
    }

    pub(crate) const fn entropy(&self) -> &Entropy {
        &self.means.entropy
    }

    /// Runs one administrative change in its own transaction, with its events.
    pub(crate) fn change<T, E>(
        &mut self,
        f: impl FnOnce(&mut AnyConnection, &mut Vec<EventDraft>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let begun = self.means.clock.now();
        let marker = EventId::new(begun, &self.means.entropy);
        let marker_text = marker.as_str().to_owned();
        let work = move |conn: &mut AnyConnection, means: &Means, logs: &mut KnownLogs| {
            let mut drafts = Vec::new();
            let value = f(conn, &mut drafts).map_err(Abort::Refused)?;
            // After what was done: an auditor holds the rows to have been made no later than their event.
            let at = means.clock.now().max(begun);
            if drafts.iter().any(|draft| draft.log == LogOwner::Operator) {
                drafts.splice(..0, gateway_keys::untold(conn, means, &drafts)?);
            }
            let mut leaves = Vec::with_capacity(drafts.len());
            for (nth, draft) in drafts.into_iter().enumerate() {
                let id = if nth == 0 { marker.clone() } else { EventId::new(at, &means.entropy) };
                leaves.push(leaf_of(conn, means, draft, id, at)?);
            }
            append::append(conn, means, logs, leaves)?;
            Ok::<T, Abort<E>>(value)
        };
        self.attempt(work, std::slice::from_ref(&marker_text)).map_err(Abort::into_error)
    }

    /// One transaction. When the connection dies or falls silent during the commit, nobody knows at first
    /// whether it took; `markers`, event ids that only this transaction writes, tell afterwards.
    pub(crate) fn attempt<T, E>(
        &mut self,
        f: impl FnOnce(&mut AnyConnection, &Means, &mut KnownLogs) -> Result<T, Abort<E>> + Send + 'static,
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
        f: impl FnOnce(&mut AnyConnection, &Means, &mut KnownLogs) -> Result<T, Abort<E>> + Send + 'static,
        markers: &[String],
    ) -> Result<T, Abort<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let database = self.means.database.clone();
        database.inspect()?;
        let turn = database.turn(true);
        // What the transaction learns of logs comes back only with its commit: a log made in one that fails is
        // gone with it.
        let (means, mut logs, guarded) = (self.means.clone(), self.logs.clone(), database.clone());
        let work = move |conn: &mut AnyConnection| {
            let value = f(conn, &means, &mut logs)?;
            logs.about_to_commit(&guarded, conn)?;
            Ok((value, logs))
        };
        let (value, logs) = match self.session.transaction(self.means.transaction_patience(), work) {
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

    /// Whether a transaction whose commit was cut off is in the database. The old server process
    /// may still be committing: it holds the log heads until it is done, so they are locked first;
    /// a look without the lock could say no to what appears a moment later. A head that it made itself
    /// can't be seen to be locked, but then it holds the epoch of the keys, which new logs move on.
    fn took(&mut self, markers: &[String]) -> Result<bool, DatabaseError> {
        let database = self.means.database.clone();
        let _turn = database.turn(true);
        let markers = markers.to_vec();
        let look = move |conn: &mut AnyConnection| {
            lock_epoch(conn, EPOCH)?;
            store::lock_every_log(conn)?;
            Ok::<_, Abort<Infallible>>(store::any_event_exists(conn, &markers)?)
        };
        match self.session.transaction(self.means.transaction_patience(), look) {
            // It only read.
            Ok(found) | Err(Unfinished::InDoubt(found, _)) => Ok(found),
            Err(Unfinished::Aborted(abort)) => Err(abort.into_database_error()),
        }
    }
}

fn leaf_of(
    conn: &mut AnyConnection,
    means: &Means,
    draft: EventDraft,
    id: EventId,
    at: jiff::Timestamp,
) -> Result<Leaf, DatabaseError> {
    // Without the person there is no key to seal it with, and in the clear it could name them.
    let subject = match (&draft.personal, draft.log.merchant()) {
        (Some(personal), Some(merchant)) => subjects::find(conn, &means.keyring, merchant, &personal.subject)?,
        _ => None,
    };
    let sealed = draft.personal.zip(subject).map(|(personal, (_, subject))| {
        subject.secret.seal(&id, personal.fields.canonical().as_bytes(), &means.entropy)
    });
    let body = Event {
        id: &id,
        kind: draft.kind,
        at,
        merchant: draft.log.merchant(),
        actor: &draft.actor,
        about: &draft.about,
        facts: draft.facts,
        sealed: sealed.as_deref(),
    }
    .to_body();
    Ok(Leaf { log: draft.log, id, kind: draft.kind, about: draft.about, at, body })
}

fn idempotency_scope(entry: &Entry) -> Option<(String, String)> {
    match entry {
        Entry::Check(check) => check.idempotency.as_ref().map(|i| (check.key.as_str().to_owned(), i.key.clone())),
        Entry::Redeem(_) => None,
    }
}

/// The ids of the events that the batch may write: replays write none, so any of them tells.
fn event_ids(entries: &[Arc<Entry>]) -> Vec<String> {
    let id = |entry: &Arc<Entry>| match entry.as_ref() {
        Entry::Check(check) => check.event.as_str().to_owned(),
        Entry::Redeem(entry) => entry.event.as_str().to_owned(),
    };
    entries.iter().map(id).collect()
}
