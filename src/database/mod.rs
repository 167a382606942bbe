//! diesel's technology, with no business word in it: one database handle over SQLite and PostgreSQL.
//!
//! `Database::read` and `Database::write` hop once to the blocking pool and hand out a plain
//! `&mut AnyConnection`. A write is one transaction; returning `Err` rolls it back.
//!
//! - `pool`, `connection`, `session`, `turn`: connections, transactions with a deadline, and the order of writers
//! - `file`, `read_only`, `scrub`: a SQLite database's files; `postgres`: what a PostgreSQL session must offer
//! - `schema`, `columns`, `migrate`, `blank`: the tables, statements over many rows, and the schema brought up to date
//! - `followed`: a snapshot in memory that follows some tables by an epoch
//! - `error`, `statement_time`: its answers other than rows, by what the caller should do
//! - `guard`, `mismatch`: the check that the database is still the one that the process began with
//!
//! To change the schema, add one migration under the same name to `migrations/postgres` and to
//! `migrations/sqlite`, with an `up.sql` and a `down.sql` each, and mend `schema`. Types are
//! portable only: text, bigint, integer, boolean, bytes; times are microseconds UTC. A migration
//! that has landed is never edited.

mod blank;
pub mod columns;
pub mod connection;
pub mod error;
pub mod file;
pub mod followed;
pub mod guard;
pub mod migrate;
mod mismatch;
mod pool;
mod postgres;
mod read_only;
pub mod rows;
pub mod schema;
mod scrub;
pub mod session;
mod statement_time;
mod turn;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use diesel::connection::SimpleConnection as _;
use diesel::r2d2::Pool;

use connection::ConnectionUse;
pub use connection::{AnyConnection, Backend, DatabaseUrl};
pub use error::DatabaseError;
use guard::Guard;
pub use mismatch::Mismatch;
use pool::{Checkout, LastingPool, LogErrors, Opener};
pub use read_only::Reader;
pub use session::Abort;
pub use turn::WriteGuard;
use turn::WriteTurns;

use crate::telemetry::Outage;

/// The longest time a caller waits for a connection before the answer is to come back later.
const CHECKOUT_TIMEOUT: Duration = Duration::from_millis(500);

/// The database of one gateway; cheap to clone.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    url: DatabaseUrl,
    guard: Arc<Guard>,
    /// None once it is closed.
    pools: ArcSwapOption<Pools>,
    /// On SQLite one connection for as long as this is open: with the last one of all processes the write-ahead log
    /// goes, and the next makes another, which would look like one that was deleted.
    keeper: Mutex<Option<AnyConnection>>,
    turns: WriteTurns,
}

struct Pools {
    readers: Arc<LastingPool>,
    writers: Arc<LastingPool>,
}

/// The number of connections a pool has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolState {
    pub busy: u32,
    pub idle: u32,
}

impl Database {
    /// Opens the pools; makes the SQLite file if there is none. `connections` bounds the readers
    /// (and on PostgreSQL the writers too).
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when nothing answers there.
    pub fn connect(url: &DatabaseUrl, connections: u32) -> Result<Self, DatabaseError> {
        let url = &url.absolute()?;
        if let DatabaseUrl::Sqlite(path) = url {
            file::prepare(Path::new(path)).map_err(DatabaseError::File)?;
        }
        // Fail with the reason now: a pool would only say that it timed out.
        if let DatabaseUrl::Postgres(_) = url {
            postgres::examine(url)?;
        }
        let mut first = connection::open(url, ConnectionUse::Reading)?;
        migrate::refuse_newer(&mut first)?;
        let (guard, keeper) = match url {
            // It has read by now, so that its files are there.
            DatabaseUrl::Sqlite(path) => (Guard::of_file(Path::new(path))?, Some(first)),
            DatabaseUrl::Postgres(_) => (Guard::default(), None),
        };
        let guard = Arc::new(guard);
        let outage =
            Arc::new(Outage::new("no database connection can be opened", "database connections can be opened again"));
        let pool = |size: u32, purpose| {
            let (url, guard, outage) = (url.clone(), guard.clone(), outage.clone());
            LastingPool::new(url.backend() == Backend::Postgres, move || {
                Pool::builder()
                    .max_size(size.max(1))
                    .min_idle(Some(0))
                    .connection_timeout(CHECKOUT_TIMEOUT)
                    .error_handler(Box::new(LogErrors(outage.clone())))
                    .build_unchecked(Opener { url: url.clone(), purpose, guard: guard.clone(), outage: outage.clone() })
            })
        };
        let writers = match url.backend() {
            // SQLite has one writer at a time; a second connection could only wait for the first.
            Backend::Sqlite => pool(1, ConnectionUse::Writing),
            Backend::Postgres => pool(connections, ConnectionUse::Writing),
        };
        let pools = ArcSwapOption::from_pointee(Pools { readers: pool(connections, ConnectionUse::Reading), writers });
        Ok(Self {
            inner: Arc::new(Inner {
                url: url.clone(),
                guard,
                pools,
                keeper: Mutex::new(keeper),
                turns: WriteTurns::default(),
            }),
        })
    }

    /// Which database this is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.inner.url.backend()
    }

    /// Runs `f` on a reading connection, off the async threads.
    ///
    /// # Errors
    /// The errors of `f`, or [`DatabaseError::Busy`] and [`DatabaseError::Unavailable`].
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let this = self.clone();
        blocking(move || this.read_blocking(f)).await
    }

    /// Runs `f` in one transaction, off the async threads.
    ///
    /// # Errors
    /// As [`Database::read`]; on any error nothing is kept.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let this = self.clone();
        blocking(move || this.write_blocking(f)).await
    }

    /// [`Database::read`] for threads that may block.
    ///
    /// # Errors
    /// As [`Database::read`].
    pub fn read_blocking<T, E: From<DatabaseError>>(
        &self,
        f: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.usable()?;
        f(&mut *self.checkout(|pools| &pools.readers)?)
    }

    /// [`Database::write`] for threads that may block.
    ///
    /// # Errors
    /// As [`Database::write`].
    pub fn write_blocking<T, E: From<DatabaseError>>(
        &self,
        f: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.inspect()?;
        let mut conn = self.checkout(|pools| &pools.writers)?;
        let _turn = self.turn(false);
        let value = connection::transaction(&mut conn, |conn| {
            let value = f(conn)?;
            self.about_to_commit(conn)?;
            Ok::<_, E>(value)
        })?;
        self.committed()?;
        Ok(value)
    }

    /// The number of connections each pool has, busy and idle: of readers, then of writers.
    #[must_use]
    pub fn connections(&self) -> [PoolState; 2] {
        let of = |pool: &LastingPool| {
            let state = pool.state();
            PoolState { busy: state.connections.saturating_sub(state.idle_connections), idle: state.idle_connections }
        };
        let pools = self.inner.pools.load();
        pools.as_ref().map_or([PoolState::default(); 2], |pools| [of(&pools.readers), of(&pools.writers)])
    }

    /// A connection outside the pools, for work that takes long or changes what a session waits for.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when nothing answers.
    pub fn dedicated(&self) -> Result<AnyConnection, DatabaseError> {
        self.open_guarded(ConnectionUse::Reading)
    }

    /// A connection outside the pools, for the ledger's own transactions.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when nothing answers.
    pub fn dedicated_writer(&self) -> Result<AnyConnection, DatabaseError> {
        self.open_guarded(ConnectionUse::Recording)
    }

    fn open_guarded(&self, purpose: ConnectionUse) -> Result<AnyConnection, DatabaseError> {
        self.usable()?;
        let conn = connection::open(&self.inner.url, purpose)?;
        self.usable()?;
        Ok(conn)
    }

    /// On SQLite, the right to write until the guard is dropped; those who say `first` go before
    /// all others that wait. On PostgreSQL there is nothing to wait for.
    #[must_use]
    pub fn turn(&self, first: bool) -> Option<WriteGuard<'_>> {
        match self.backend() {
            Backend::Sqlite => Some(self.inner.turns.take(first)),
            Backend::Postgres => None,
        }
    }

    /// Closes it in good order: on SQLite all that was written is then in the database's file, though a thread that hangs
    /// should hold a connection, and its write-ahead log is deleted unless someone has it open. A caller that still
    /// asks gets the answer that it was interrupted.
    pub fn close(&self) {
        self.inner.close(true);
    }

    fn checkout(&self, which: fn(&Pools) -> &Arc<LastingPool>) -> Result<Checkout, DatabaseError> {
        let pools = self.inner.pools.load_full();
        which(pools.as_ref().ok_or(DatabaseError::Interrupted)?).get()
    }
}

/// The longest that emptying the write-ahead log at the end waits for readers.
const LAST_PATIENCE: Duration = Duration::from_millis(500);

impl Inner {
    fn close(&self, empty_log: bool) {
        let pools = self.pools.swap(None);
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.guard.mismatch().is_some() {
            // Closing the last connection would write what the log holds over whatever the file is now.
            std::mem::forget((pools, keeper));
            return;
        }
        drop(pools);
        let Some(AnyConnection::Sqlite(mut keeper)) = keeper.filter(|_| empty_log) else { return };
        let patience = LAST_PATIENCE.as_millis();
        let pragmas = format!("PRAGMA busy_timeout = {patience}; PRAGMA wal_checkpoint(TRUNCATE)");
        if let Err(error) = keeper.batch_execute(&pragmas) {
            tracing::debug!(%error, "the write-ahead log was not emptied");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last connection of all empties the log.
        self.close(false);
    }
}

async fn blocking<T: Send + 'static, E: From<DatabaseError> + Send + 'static>(
    f: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    tokio::task::spawn_blocking(f).await.unwrap_or_else(|_| Err(DatabaseError::Interrupted.into()))
}
