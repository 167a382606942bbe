//! The writer's thread: gathers what waits into batches, commits them, and answers.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::append::{self, KnownLogs, Leaf};
use super::batch::{self, Entry, Outcome};
use super::entry::{EventDraft, LogOwner};
use super::event::Event;
use super::{LedgerError, keys, store, subjects};
use crate::clock::Clock;
use crate::database::{AnyConnection, Database, DatabaseError, connection};
use crate::entropy::Entropy;
use crate::ids::EventId;
use crate::keyring::Keyring;

/// What the writer works with.
#[derive(Clone)]
pub struct Means {
    pub database: Database,
    pub keyring: Keyring,
    pub clock: Clock,
    pub entropy: Entropy,
    /// What the origins of new logs begin with.
    pub log_origin: Arc<str>,
}

/// An administrative write: its own transaction, run on the writer's thread.
pub(super) type Change = Box<dyn FnOnce(&mut Writer) + Send>;

pub(super) enum Job {
    Entry(Entry, oneshot::Sender<Result<Outcome, LedgerError>>),
    Change(Change),
}

type Waiting = (Entry, oneshot::Sender<Result<Outcome, LedgerError>>);

/// The one writer of a process.
pub struct Writer {
    means: Means,
    queue: mpsc::Receiver<Job>,
    largest_batch: usize,
    /// Taken from the queue, but not part of the batch that was gathered.
    carried: VecDeque<Job>,
    conn: Option<AnyConnection>,
    logs: KnownLogs,
    /// Whether the last transaction failed for a reason that the next will meet too.
    failing: Arc<AtomicBool>,
}

/// Errors that say something of what was asked, and nothing of the connection.
const fn is_about_the_data(error: &DatabaseError) -> bool {
    matches!(
        error,
        DatabaseError::Conflict
            | DatabaseError::Constraint(_)
            | DatabaseError::Duplicate(_)
            | DatabaseError::NotFound
            | DatabaseError::Corrupt { .. }
            | DatabaseError::Interrupted
    )
}

/// A deadlock's victim is run again this often before its callers are told.
pub(super) const MAX_TRIES: usize = 3;

impl Writer {
    pub(super) fn new(
        means: Means,
        queue: mpsc::Receiver<Job>,
        largest_batch: usize,
        failing: Arc<AtomicBool>,
    ) -> Self {
        let logs = KnownLogs::new();
        means.database.find_with(logs.finder());
        Self { means, queue, largest_batch, carried: VecDeque::new(), conn: None, logs, failing }
    }

    /// Works until every handle is gone and the queue is empty.
    pub(super) fn run(mut self) {
        while let Some(job) = self.next() {
            match job {
                Job::Change(change) => change(&mut self),
                Job::Entry(entry, reply) => {
                    let batch = self.gather((entry, reply));
                    metrics::histogram!("ledger_batch_size")
                        .record(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
                    self.commit(batch);
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
                        batch.push((entry, reply));
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

    fn commit(&mut self, mut batch: Vec<Waiting>) {
        let now = Instant::now();
        let late: Vec<Waiting> =
            batch.extract_if(.., |(entry, reply)| batch::deadline(entry) <= now || reply.is_closed()).collect();
        for (_, reply) in late {
            let _ = reply.send(Err(LedgerError::Busy));
        }
        if batch.is_empty() {
            return;
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let entries: Vec<&Entry> = batch.iter().map(|(entry, _)| entry).collect();
            match self.attempt(|conn, means, logs| batch::record(conn, means, logs, &entries), &event_ids(&entries)) {
                Ok(outcomes) => {
                    for ((_, reply), outcome) in batch.into_iter().zip(outcomes) {
                        let _ = reply.send(Ok(outcome));
                    }
                    return;
                }
                Err(DatabaseError::Conflict) if tries < MAX_TRIES => {}
                Err(error) if error.is_passing() || batch.len() == 1 => {
                    // What happened to a database that is lost was told when it was found.
                    if !matches!(error, DatabaseError::Mismatch(_)) {
                        tracing::error!(%error, entries = batch.len(), "the ledger could not record a batch");
                    }
                    for (_, reply) in batch {
                        let _ = reply.send(Err(LedgerError::from(&error)));
                    }
                    return;
                }
                Err(error) => {
                    // One of them can't be stored; the others must not pay for it.
                    tracing::warn!(%error, entries = batch.len(), "a batch failed: recording its entries one by one");
                    for waiting in batch {
                        self.commit(vec![waiting]);
                    }
                    return;
                }
            }
        }
    }

    /// The instant at which a change is made.
    pub(super) fn now(&self) -> jiff::Timestamp {
        self.means.clock.now()
    }

    pub(super) const fn entropy(&self) -> &Entropy {
        &self.means.entropy
    }

    /// Runs one administrative change in its own transaction, with its events.
    pub(super) fn change<T, E>(
        &mut self,
        f: impl FnOnce(&mut AnyConnection, &mut Vec<EventDraft>) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<DatabaseError>,
    {
        let at = self.means.clock.now();
        let marker = EventId::new(at, &self.means.entropy);
        let marker_text = marker.as_str().to_owned();
        let mut refusal = None;
        let result = self.attempt(
            |conn, means, logs| {
                let mut drafts = Vec::new();
                match f(conn, &mut drafts) {
                    Ok(value) => {
                        if drafts.iter().any(|draft| draft.log == LogOwner::Operator) {
                            drafts.splice(..0, keys::untold(conn, means, &drafts)?);
                        }
                        let mut leaves = Vec::with_capacity(drafts.len());
                        for (nth, draft) in drafts.into_iter().enumerate() {
                            let id = if nth == 0 { marker.clone() } else { EventId::new(at, &means.entropy) };
                            leaves.push(leaf_of(conn, means, draft, id, at)?);
                        }
                        append::append(conn, means, logs, leaves)?;
                        Ok(value)
                    }
                    Err(error) => {
                        refusal = Some(error);
                        Err(DatabaseError::Interrupted)
                    }
                }
            },
            std::slice::from_ref(&marker_text),
        );
        match (result, refusal) {
            (Ok(value), _) => Ok(value),
            (Err(_), Some(refusal)) => Err(refusal),
            (Err(error), None) => Err(error.into()),
        }
    }

    /// One transaction. When the connection dies during the commit, nobody knows at first whether
    /// it took; `markers`, event ids that only this transaction writes, tell afterwards.
    pub(super) fn attempt<T>(
        &mut self,
        f: impl FnOnce(&mut AnyConnection, &Means, &mut KnownLogs) -> Result<T, DatabaseError>,
        markers: &[String],
    ) -> Result<T, DatabaseError> {
        let result = self.transact(f, markers);
        let failing = matches!(&result, Err(error) if !is_about_the_data(error));
        self.failing.store(failing, Ordering::Relaxed);
        result
    }

    fn transact<T>(
        &mut self,
        f: impl FnOnce(&mut AnyConnection, &Means, &mut KnownLogs) -> Result<T, DatabaseError>,
        markers: &[String],
    ) -> Result<T, DatabaseError> {
        let database = self.means.database.clone();
        database.inspect()?;
        let turn = database.turn(true);
        let mut conn = self.begun()?;
        let worked = f(&mut conn, &self.means, &mut self.logs).and_then(|value| {
            self.logs.about_to_commit(&database, &mut conn)?;
            Ok(value)
        });
        let value = match worked {
            Ok(value) => value,
            Err(error) => {
                self.logs.forget();
                // Whatever else went wrong may be the connection's fault: a server that became a
                // standby, a full disk. The next batch opens a new one.
                if connection::rollback(&mut conn).is_ok() && is_about_the_data(&error) {
                    self.conn = Some(conn);
                }
                return Err(error);
            }
        };
        if let Err(error) = connection::commit(&mut conn) {
            drop(conn);
            drop(turn);
            tracing::warn!(%error, "the connection failed during a commit: asking whether it took");
            match self.took(markers) {
                Ok(true) => {}
                Ok(false) => {
                    self.logs.forget();
                    return Err(error);
                }
                Err(silence) => {
                    self.logs.forget();
                    tracing::error!(error = %silence, "nobody can say whether the commit took");
                    return Err(DatabaseError::InDoubt);
                }
            }
        } else {
            self.conn = Some(conn);
        }
        self.logs.keep();
        database.committed()?;
        Ok(value)
    }

    /// A connection inside a new transaction. One that was kept may have died since; nothing has
    /// been sent on it yet, so another is tried.
    fn begun(&mut self) -> Result<AnyConnection, DatabaseError> {
        if let Some(mut kept) = self.conn.take()
            && connection::begin(&mut kept).is_ok()
        {
            return Ok(kept);
        }
        let mut conn = self.means.database.dedicated()?;
        connection::begin(&mut conn)?;
        Ok(conn)
    }

    /// Whether a transaction whose commit was cut off is in the database. The old server process
    /// may still be committing: it holds the log heads until it is done, so they are locked first;
    /// a look without the lock could say no to what appears a moment later.
    fn took(&self, markers: &[String]) -> Result<bool, DatabaseError> {
        let mut conn = self.means.database.dedicated()?;
        let _turn = self.means.database.turn(true);
        connection::transaction(&mut conn, |conn| {
            store::lock_every_log(conn)?;
            store::any_event_exists(conn, markers)
        })
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
fn event_ids(entries: &[&Entry]) -> Vec<String> {
    let id = |entry: &&Entry| match entry {
        Entry::Check(check) => check.event.as_str().to_owned(),
        Entry::Redeem(entry) => entry.event.as_str().to_owned(),
    };
    entries.iter().map(id).collect()
}
