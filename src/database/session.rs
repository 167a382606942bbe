//! Transactions, and statements that are one, with a deadline of our own: one connection, used by one thread, for callers that can't wait for
//! a server that says nothing.
//!
//! No setting of PostgreSQL helps against a server that hangs: it isn't there to heed it, and its kernel goes on
//! acknowledging what is sent, so TCP sees nothing either. So the connection lives on a thread of its own. When
//! the deadline passes, thread and connection are left behind: the thread commits nothing any more, and closes the
//! connection as soon as the driver gives it back. SQLite hangs with its disk, which another connection would
//! share, and its writer holds the file: there the work is done in place, without a deadline.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::connection;
use super::{AnyConnection, Backend, Database, DatabaseError};

/// A transaction is being worked on; nothing is committed.
const WORKING: u8 = 0;
/// The commit is being sent.
const COMMITTING: u8 = 1;
/// The deadline has passed: whatever was not being committed by then never is.
const ABANDONED: u8 = 2;

/// So many connections may be left behind within [`RECENTLY`]; with more, nothing answers and another one would not
/// either. Later it is tried again: another server may have taken over while those still wait for the old one.
const MOST_ABANDONED_RECENTLY: usize = 8;
const RECENTLY: Duration = Duration::from_mins(1);
/// With so many left behind it is tried once in that time: each is a thread and a socket, and never to try again would
/// outlive what was wrong.
const MANY_ABANDONED: usize = 64;

/// Why a transaction was rolled back.
#[derive(Debug)]
pub enum Abort<E> {
    /// The work itself refused.
    Refused(E),
    Database(DatabaseError),
}

impl<E> From<DatabaseError> for Abort<E> {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl<E: From<DatabaseError>> Abort<E> {
    /// The refusal, or the database's error as one.
    pub fn into_error(self) -> E {
        match self {
            Self::Refused(error) => error,
            Self::Database(error) => error.into(),
        }
    }
}

impl Abort<Infallible> {
    /// The database's error, of work that refuses nothing.
    #[must_use]
    pub fn into_database_error(self) -> DatabaseError {
        match self {
            Self::Refused(never) => match never {},
            Self::Database(error) => error,
        }
    }
}

/// The outcome of a transaction that was not committed for sure.
pub enum Unfinished<T, E> {
    /// Nothing of it was kept.
    Aborted(Abort<E>),
    /// The commit was sent, and no answer came: this is its value if it took.
    InDoubt(T, DatabaseError),
}

/// The progress of a transaction, reported by the thread that runs it.
enum Step<T, R, E> {
    Worked(T),
    Committed(R),
    CommitFailed(DatabaseError),
    Aborted(Abort<E>),
}

type Job = Box<dyn FnOnce(&mut Option<AnyConnection>) + Send>;

/// Where the connection is.
enum Place {
    Here(Option<AnyConnection>),
    /// On a thread, which ends when this is dropped.
    Apart(mpsc::Sender<Job>, Weak<()>),
}

/// A connection for one transaction after the other.
pub struct Session {
    database: Database,
    place: Option<Place>,
    abandoned: Abandoned,
    /// When it was used last.
    used: Option<Instant>,
}

/// A connection that was not used for so long is asked whether it is alive, before a statement that is a commit is sent on
/// it: an answer that doesn't come would leave everybody in doubt.
const RESTED: Duration = Duration::from_secs(1);

impl Session {
    /// A session that connects when it is first used.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, place: None, abandoned: Abandoned::default(), used: None }
    }

    /// Runs `work` in one transaction and commits it, within `patience` (on PostgreSQL). The connection is kept
    /// for the next one, unless the error may be the connection's own: a server that became a standby, a
    /// full disk.
    ///
    /// # Errors
    /// [`Unfinished`].
    pub fn transaction<T, E>(
        &mut self,
        patience: Duration,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, Abort<E>> + Send + 'static,
    ) -> Result<T, Unfinished<T, E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let database = self.database.clone();
        let job = |stage: Arc<AtomicU8>, steps: mpsc::Sender<Step<T, (), E>>| -> Job {
            Box::new(move |conn| run(&database, conn, &stage, work, &steps))
        };
        self.perform(patience, job).map(|(value, ())| value)
    }

    /// Runs `work`, which only reads, outside any transaction; then `send`, which sends one statement: that is the
    /// commit. Of what `work` returns the first is the value.
    ///
    /// # Errors
    /// [`Unfinished`]. A statement that the server refused for its data has changed nothing.
    pub fn at_once<T, S, R, E>(
        &mut self,
        patience: Duration,
        work: impl FnOnce(&mut AnyConnection) -> Result<(T, S), Abort<E>> + Send + 'static,
        send: impl FnOnce(&mut AnyConnection, S) -> Result<R, DatabaseError> + Send + 'static,
    ) -> Result<(T, R), Unfinished<T, E>>
    where
        T: Send + 'static,
        R: Send + 'static,
        E: Send + 'static,
    {
        let database = self.database.clone();
        let is_rested = self.used.is_none_or(|used| used.elapsed() > RESTED);
        let job = |stage: Arc<AtomicU8>, steps: mpsc::Sender<Step<T, R, E>>| -> Job {
            Box::new(move |conn| {
                if is_rested && conn.as_mut().is_some_and(|conn| connection::ping(conn).is_err()) {
                    *conn = None;
                }
                run_at_once(&database, conn, &stage, work, send, &steps);
            })
        };
        self.perform(patience, job)
    }

    /// Hands the job to the connection and waits for what it says, within `patience`.
    fn perform<T, R, E>(
        &mut self,
        patience: Duration,
        job: impl FnOnce(Arc<AtomicU8>, mpsc::Sender<Step<T, R, E>>) -> Job,
    ) -> Result<(T, R), Unfinished<T, E>> {
        let until = Instant::now() + patience;
        let stage = Arc::new(AtomicU8::new(WORKING));
        let (sender, steps) = mpsc::channel();
        let job = job(stage.clone(), sender);
        let is_apart = match self.place().map_err(|error| Unfinished::Aborted(Abort::Database(error)))? {
            Place::Here(conn) => {
                job(conn);
                false
            }
            // A thread that has ended says so by never answering.
            Place::Apart(jobs, _) => jobs.send(job).is_ok(),
        };
        let mut value = None;
        let next = || {
            if is_apart {
                steps.recv_timeout(until.saturating_duration_since(Instant::now()))
            } else {
                steps.try_recv().map_err(|_| RecvTimeoutError::Disconnected)
            }
        };
        let ended = loop {
            match next() {
                Ok(Step::Worked(worked)) => value = Some(worked),
                ended => break ended,
            }
        };
        let ended = if let Ok(step) = ended {
            step
        } else {
            if let Some(Place::Apart(_, thread)) = self.place.take() {
                self.abandoned.push(Instant::now(), thread);
            }
            let was = stage.swap(ABANDONED, Ordering::AcqRel);
            // What it said between our last look and the swap.
            let said: Vec<Step<T, R, E>> = steps.try_iter().collect();
            let mut last = (was == COMMITTING).then(|| Step::CommitFailed(silent()));
            for step in said {
                match step {
                    Step::Worked(worked) => value = Some(worked),
                    step => last = Some(step),
                }
            }
            last.unwrap_or_else(|| Step::Aborted(Abort::Database(silent())))
        };
        self.used = Some(Instant::now());
        match (ended, value) {
            (Step::Committed(answer), Some(value)) => Ok((value, answer)),
            (Step::CommitFailed(error), Some(value)) => Err(Unfinished::InDoubt(value, error)),
            (Step::Aborted(abort), _) => Err(Unfinished::Aborted(abort)),
            // Only a thread that panicked leaves a value out.
            (_, _) => Err(Unfinished::Aborted(Abort::Database(DatabaseError::Interrupted))),
        }
    }

    fn place(&mut self) -> Result<&mut Place, DatabaseError> {
        let place = match self.place.take() {
            Some(place) => place,
            None if self.database.backend() == Backend::Sqlite => Place::Here(None),
            None if !self.abandoned.may_start(Instant::now()) => return Err(silent()),
            None => {
                let (jobs, mine) = mpsc::channel::<Job>();
                let alive = Arc::new(());
                let thread = Arc::downgrade(&alive);
                let started = std::thread::Builder::new().name("ledger-session".to_owned()).spawn(move || {
                    let mut conn = None;
                    while let Ok(job) = mine.recv() {
                        job(&mut conn);
                    }
                    drop(alive);
                });
                started.map_err(DatabaseError::unavailable)?;
                Place::Apart(jobs, thread)
            }
        };
        Ok(self.place.insert(place))
    }
}

/// The threads that were left behind: since when, and what each holds until it ends.
#[derive(Default)]
struct Abandoned(Vec<(Instant, Weak<()>)>);

impl Abandoned {
    fn push(&mut self, since: Instant, thread: Weak<()>) {
        self.0.push((since, thread));
    }

    /// True if another thread may be started beside them.
    fn may_start(&mut self, now: Instant) -> bool {
        self.0.retain(|(_, thread)| thread.strong_count() > 0);
        let recent = self.0.iter().filter(|(since, _)| now.saturating_duration_since(*since) < RECENTLY).count();
        recent < if self.0.len() < MANY_ABANDONED { MOST_ABANDONED_RECENTLY } else { 1 }
    }
}

fn silent() -> DatabaseError {
    DatabaseError::Unavailable("it did not answer in time".to_owned())
}

fn run<T, E>(
    database: &Database,
    kept: &mut Option<AnyConnection>,
    stage: &AtomicU8,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, Abort<E>>,
    steps: &mpsc::Sender<Step<T, (), E>>,
) {
    let mut conn = match begun(database, kept.take()) {
        Ok(conn) => conn,
        Err(error) => {
            let _ = steps.send(Step::Aborted(Abort::Database(error)));
            return;
        }
    };
    if stage.load(Ordering::Acquire) == ABANDONED {
        return;
    }
    let ended = match work(&mut conn) {
        Ok(value) => {
            let _ = steps.send(Step::Worked(value));
            if !may_commit(stage) {
                // Nobody waits any more, and the caller's answer was that nothing is kept: closing rolls back.
                return;
            }
            match connection::commit(&mut conn) {
                Ok(()) => {
                    *kept = Some(conn);
                    Step::Committed(())
                }
                Err(error) => Step::CommitFailed(error),
            }
        }
        Err(abort) => {
            if connection::rollback(&mut conn).is_ok() && is_well_after(&abort) {
                *kept = Some(conn);
            }
            Step::Aborted(abort)
        }
    };
    let _ = steps.send(ended);
}

fn run_at_once<T, S, R, E>(
    database: &Database,
    kept: &mut Option<AnyConnection>,
    stage: &AtomicU8,
    work: impl FnOnce(&mut AnyConnection) -> Result<(T, S), Abort<E>>,
    send: impl FnOnce(&mut AnyConnection, S) -> Result<R, DatabaseError>,
    steps: &mpsc::Sender<Step<T, R, E>>,
) {
    let mut conn = match kept.take().map_or_else(|| database.dedicated_writer(), Ok) {
        Ok(conn) => conn,
        Err(error) => {
            let _ = steps.send(Step::Aborted(Abort::Database(error)));
            return;
        }
    };
    let ended = match work(&mut conn) {
        Ok((value, statement)) => {
            let _ = steps.send(Step::Worked(value));
            if !may_commit(stage) {
                return;
            }
            match send(&mut conn, statement) {
                Ok(answer) => {
                    *kept = Some(conn);
                    Step::Committed(answer)
                }
                // The server has judged it, and taken back what it had done.
                Err(error) if error.is_about_the_data() => {
                    *kept = Some(conn);
                    Step::Aborted(Abort::Database(error))
                }
                Err(error) => Step::CommitFailed(error),
            }
        }
        Err(abort) => {
            if is_well_after(&abort) {
                *kept = Some(conn);
            }
            Step::Aborted(abort)
        }
    };
    let _ = steps.send(ended);
}

/// True, once, unless nobody waits any more: from then on it is not known whether the commit took.
fn may_commit(stage: &AtomicU8) -> bool {
    stage.compare_exchange(WORKING, COMMITTING, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

/// True if the connection can be used after this.
const fn is_well_after<E>(abort: &Abort<E>) -> bool {
    match abort {
        Abort::Refused(_) => true,
        Abort::Database(error) => error.is_about_the_data(),
    }
}

/// A connection inside a new transaction. One that was kept may have died since; nothing has been sent on it
/// yet, so another is tried.
fn begun(database: &Database, kept: Option<AnyConnection>) -> Result<AnyConnection, DatabaseError> {
    if let Some(mut kept) = kept
        && connection::begin(&mut kept).is_ok()
    {
        return Ok(kept);
    }
    let mut conn = database.dedicated_writer()?;
    connection::begin(&mut conn)?;
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_threads_hang_another_is_tried_in_time_and_at_once_when_they_end() {
        let (mut abandoned, mut threads) = (Abandoned::default(), Vec::new());
        let mut now = Instant::now();
        let mut begin = |abandoned: &mut Abandoned, now| {
            let thread = Arc::new(());
            abandoned.push(now, Arc::downgrade(&thread));
            threads.push(thread);
        };
        // One server after the other hangs, minute for minute.
        for _ in 0..20 {
            let mut tried = 0;
            while abandoned.may_start(now) {
                tried += 1;
                begin(&mut abandoned, now);
            }
            let many = abandoned.0.len() > MANY_ABANDONED;
            assert_eq!(tried, if many { 1 } else { MOST_ABANDONED_RECENTLY });
            now += RECENTLY;
        }
        begin(&mut abandoned, now);
        assert!(!abandoned.may_start(now));
        threads.clear();
        assert!(abandoned.may_start(now));
    }
}
