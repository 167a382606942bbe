//! diesel's technology, with no business word in it: one database handle over SQLite and PostgreSQL.
//!
//! `Database::read` and `Database::write` hop once to the blocking pool and hand out a plain
//! `&mut AnyConnection`. A write is one transaction; returning `Err` rolls it back.
//!
//! To change the schema, add one migration under the same name to `migrations/postgres` and to
//! `migrations/sqlite`, with an `up.sql` and a `down.sql` each, and mend `schema.rs`. Types are
//! portable only: text, bigint, integer, boolean, bytes; times are microseconds UTC. A migration
//! that has landed is never edited.

pub mod columns;
pub mod connection;
pub mod error;
pub mod followed;
pub mod migrate;
pub mod schema;
mod scrub;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use diesel::r2d2::{Pool, PooledConnection};

use connection::Opener;
pub use connection::{AnyConnection, Backend, DatabaseUrl};
pub use error::DatabaseError;
pub use turn::Turn;
use turn::WriteTurns;

/// How long a caller waits for a connection before it is told to come back later.
const CHECKOUT_TIMEOUT: Duration = Duration::from_millis(500);

/// The database of one gateway; cheap to clone.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    url: DatabaseUrl,
    readers: Pool<Opener>,
    writers: Pool<Opener>,
    turns: WriteTurns,
}

impl Database {
    /// Opens the pools; makes the SQLite file if there is none. `connections` bounds the readers
    /// (and on PostgreSQL the writers too).
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when nothing answers there.
    pub fn connect(url: &DatabaseUrl, connections: u32) -> Result<Self, DatabaseError> {
        // Fail with the reason now: a pool would only say that it timed out.
        drop(connection::open(url)?);
        let pool = |size: u32| {
            Pool::builder()
                .max_size(size.max(1))
                .min_idle(Some(0))
                .connection_timeout(CHECKOUT_TIMEOUT)
                .error_handler(Box::new(connection::LogErrors))
                .build_unchecked(Opener(url.clone()))
        };
        let writers = match url.backend() {
            // SQLite has one writer at a time; a second connection could only wait for the first.
            Backend::Sqlite => pool(1),
            Backend::Postgres => pool(connections),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                url: url.clone(),
                readers: pool(connections),
                writers,
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
    /// What `f` returns, or [`DatabaseError::Busy`] and [`DatabaseError::Unavailable`].
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
        f(&mut *checkout(&self.inner.readers)?)
    }

    /// [`Database::write`] for threads that may block.
    ///
    /// # Errors
    /// As [`Database::write`].
    pub fn write_blocking<T, E: From<DatabaseError>>(
        &self,
        f: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut conn = checkout(&self.inner.writers)?;
        let _turn = self.turn(false);
        connection::transaction(&mut conn, f)
    }

    /// A connection outside the pools, for the ledger's own thread.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when nothing answers.
    pub fn dedicated(&self) -> Result<AnyConnection, DatabaseError> {
        connection::open(&self.inner.url)
    }

    /// On SQLite, the right to write until the guard is dropped; those who say `first` go before
    /// all others that wait. On PostgreSQL there is nothing to wait for.
    #[must_use]
    pub fn turn(&self, first: bool) -> Option<Turn<'_>> {
        match self.backend() {
            Backend::Sqlite => Some(self.inner.turns.take(first)),
            Backend::Postgres => None,
        }
    }
}

fn checkout(pool: &Pool<Opener>) -> Result<PooledConnection<Opener>, DatabaseError> {
    pool.get().map_err(|_| DatabaseError::Busy)
}

async fn blocking<T: Send + 'static, E: From<DatabaseError> + Send + 'static>(
    f: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    tokio::task::spawn_blocking(f).await.unwrap_or_else(|_| Err(DatabaseError::Interrupted.into()))
}
