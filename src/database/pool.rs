//! The way pools open connections, what they say when they can't, and how one is replaced whose connections hang.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use diesel::connection::SimpleConnection as _;
use diesel::r2d2::{ManageConnection, Pool, PooledConnection, State};

use super::connection::{ConnectionUse, DatabaseUrl, open};
use super::guard::Guard;
use super::{AnyConnection, DatabaseError};
use crate::telemetry::Outage;

/// Opens connections for a pool, to the database that the guard knows.
pub(super) struct Opener {
    pub url: DatabaseUrl,
    pub purpose: ConnectionUse,
    pub guard: Arc<Guard>,
    /// Shared by all pools: it is one database that is away.
    pub outage: Arc<Outage>,
}

impl ManageConnection for Opener {
    type Connection = AnyConnection;
    type Error = DatabaseError;

    fn connect(&self) -> Result<AnyConnection, DatabaseError> {
        self.guard.look()?;
        let opened = open(&self.url, self.purpose)?;
        self.guard.look()?;
        self.outage.succeeded();
        Ok(opened)
    }

    fn is_valid(&self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        match conn {
            // Whether its file is still there is asked by the caller; PostgreSQL goes away, and the first query
            // would find out too late.
            AnyConnection::Sqlite(_) => Ok(()),
            AnyConnection::Postgres(conn) => Ok(conn.batch_execute("SELECT 1")?),
        }
    }

    fn has_broken(&self, _: &mut AnyConnection) -> bool {
        // A panic inside a transaction leaves it open.
        std::thread::panicking()
    }
}

/// Says in the log why pools can't open connections, without the URL's password. A pool tries many times
/// a second, so it is said once.
#[derive(Debug)]
pub(super) struct LogErrors(pub Arc<Outage>);

impl diesel::r2d2::HandleError<DatabaseError> for LogErrors {
    fn handle_error(&self, error: DatabaseError) {
        self.0.failed(&error);
    }
}

/// A pool is replaced when it has none to give and one of its connections has been out for so long, or none was given out
/// for so long. Longer than one statement may take, so that a server that answers at all is not meant.
const STALLED: Duration = Duration::from_secs(15);
/// The longest between one replacement and the next: each leaves behind connections and threads that hang.
const LONGEST_STALL: Duration = Duration::from_mins(10);

/// A pool that doesn't wait for a server that says nothing, for good: its connections hang then with those who use or try
/// them, until TCP ends, which a peer that goes on acknowledging puts off without end. Another server may have taken over.
pub(super) struct LastingPool {
    current: ArcSwap<Pool<Opener>>,
    build: Box<dyn Fn() -> Pool<Opener> + Send + Sync>,
    /// SQLite hangs with its disk, which another connection would share.
    may_hang: bool,
    progress: Mutex<Progress>,
}

/// Who asks for or uses a connection of the pool as it is now, and how that goes.
struct Progress {
    /// Since when, by number.
    out: HashMap<u64, Instant>,
    next: u64,
    /// When a connection was last given out, or the pool was replaced.
    last: Instant,
    replaced: Instant,
    /// The least time between the last replacement and the next.
    patience: Duration,
}

impl Progress {
    fn new(now: Instant) -> Self {
        Self { out: HashMap::new(), next: 0, last: now, replaced: now, patience: STALLED }
    }

    fn ask(&mut self, now: Instant) -> u64 {
        self.next += 1;
        self.out.insert(self.next, now);
        self.next
    }

    fn give(&mut self, now: Instant) {
        self.last = now;
    }

    /// The connection of this number came back, and works.
    fn take_back(&mut self, number: u64) {
        if self.out.remove(&number).is_some() {
            self.patience = STALLED;
        }
    }

    /// Tells whether the pool is to be replaced, now that it had no connection to give to `number`.
    fn is_stalled(&mut self, number: u64, now: Instant) -> bool {
        self.out.remove(&number);
        let is_old = |since: Instant| now.saturating_duration_since(since) >= STALLED;
        let hangs = is_old(self.last) || self.out.values().any(|since| is_old(*since));
        if !hangs || now.saturating_duration_since(self.replaced) < self.patience {
            return false;
        }
        // Those who are out with one of the old ones are no longer counted.
        self.out.clear();
        (self.last, self.replaced) = (now, now);
        self.patience = (self.patience * 2).min(LONGEST_STALL);
        true
    }
}

impl LastingPool {
    pub(super) fn new(may_hang: bool, build: impl Fn() -> Pool<Opener> + Send + Sync + 'static) -> Arc<Self> {
        let current = ArcSwap::from_pointee(build());
        let progress = Mutex::new(Progress::new(Instant::now()));
        Arc::new(Self { current, build: Box::new(build), may_hang, progress })
    }

    /// A connection, unless none comes free in time.
    pub(super) fn get(self: &Arc<Self>) -> Result<Checkout, DatabaseError> {
        let number = self.progress().ask(Instant::now());
        let pool = self.current.load_full();
        if let Ok(conn) = pool.get() {
            self.progress().give(Instant::now());
            return Ok(Checkout { conn, number, pool: self.clone() });
        }
        if self.progress().is_stalled(number, Instant::now()) && self.may_hang {
            tracing::debug!("database connections hang, or none can be opened: others are opened in their place");
            self.current.store(Arc::new((self.build)()));
        }
        Err(DatabaseError::Busy)
    }

    pub(super) fn state(&self) -> State {
        self.current.load().state()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is given back when dropped.
pub(super) struct Checkout {
    conn: PooledConnection<Opener>,
    number: u64,
    pool: Arc<LastingPool>,
}

impl Deref for Checkout {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.conn
    }
}

impl DerefMut for Checkout {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.conn
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        self.pool.progress().take_back(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_replaced_when_connections_hang_and_less_often_while_the_next_ones_do_too() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let mut progress = Progress::new(began);
        let asked = |progress: &mut Progress, seconds| {
            let number = progress.ask(after(seconds));
            progress.is_stalled(number, after(seconds))
        };
        // Nothing can be opened.
        assert!(!asked(&mut progress, 14) && asked(&mut progress, 15));
        assert!(!asked(&mut progress, 44) && asked(&mut progress, 45));
        assert!(!asked(&mut progress, 104) && asked(&mut progress, 105));
        let mut seconds = 105;
        for _ in 0..20 {
            seconds += 600;
            assert!(asked(&mut progress, seconds), "after ten minutes at most");
        }

        // Most are well, and one hangs.
        let mut progress = Progress::new(began);
        let hung = progress.ask(after(0));
        for seconds in 0..=20 {
            let well = progress.ask(after(seconds));
            progress.give(after(seconds));
            assert_eq!(asked(&mut progress, seconds), seconds == 15, "{seconds}");
            progress.take_back(well);
        }
        progress.take_back(hung);
        assert!(progress.out.is_empty());
    }
}
