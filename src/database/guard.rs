//! Checks that the database is still the one that this process began with. Once it isn't, nothing is read from it or
//! written to it until the process is started again: what was recorded before is not in it any more, and a grant made
//! now could be one too many.
//!
//! A write counts when it is committed in files that are still at the path *after* the commit: a file that was deleted or
//! replaced before it took the record with it, and no answer may leave. (One that is deleted later takes a record that
//! was there.) So the look at the files comes after every commit, and the look at what the tables say before it, in the
//! same transaction.

use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::connection::ConnectionUse;
use super::file::{Files, Stamp};
use super::mismatch::Mismatch;
use super::{AnyConnection, Database, DatabaseError, DatabaseUrl, connection, migrate};

/// The depth of a look at the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// At what was written last: before every commit.
    Newest,
    /// At marks from all of this process's time: when someone has written to the file itself.
    All,
}

/// Finds in the database what this process knows to have written.
type Finder = Box<dyn Fn(&mut AnyConnection, Depth) -> Result<(), DatabaseError> + Send + Sync>;

/// All that is known of the database that was opened.
#[derive(Default)]
pub(super) struct Guard {
    /// SQLite only.
    files: Option<Files>,
    stamp: Mutex<Option<Stamp>>,
    finder: OnceLock<Finder>,
    mismatch: OnceLock<Mismatch>,
}

impl Guard {
    /// The guard of the SQLite database at this absolute path, which is open.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when its files can't be looked at.
    pub(super) fn of_file(path: &Path) -> Result<Self, DatabaseError> {
        let unavailable = |error: std::io::Error| DatabaseError::Unavailable(format!("{}: {error}", path.display()));
        let files = Files::of(path).map_err(unavailable)?;
        let this = Self { files: Some(files), ..Self::default() };
        let stamp = this.look()?;
        *this.stamp.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        Ok(this)
    }

    /// The mismatch that was found, if it is not the database any more.
    pub(super) fn mismatch(&self) -> Option<&Mismatch> {
        self.mismatch.get()
    }

    /// Checks that nothing was found to be wrong, and that the files are there.
    ///
    /// # Errors
    /// [`DatabaseError::Mismatch`].
    pub(super) fn look(&self) -> Result<Option<Stamp>, DatabaseError> {
        if let Some(mismatch) = self.mismatch() {
            return Err(DatabaseError::Mismatch(mismatch.clone()));
        }
        let Some(files) = &self.files else { return Ok(None) };
        match files.confirm() {
            Ok(stamp) => Ok(Some(stamp)),
            Err(Some(mismatch)) => Err(self.found(mismatch)),
            Err(None) => Err(DatabaseError::Unavailable("its file can't be looked at".to_owned())),
        }
    }

    /// Remembers what was found, for good, and says it in the log, once.
    pub(super) fn found(&self, mismatch: Mismatch) -> DatabaseError {
        if self.mismatch.set(mismatch.clone()).is_ok() {
            tracing::error!(
                reason = mismatch.code(),
                remedy = mismatch.remedy(),
                "{mismatch}: nothing is recorded from now on, until this process is restarted"
            );
        }
        DatabaseError::Mismatch(self.mismatch().cloned().unwrap_or(mismatch))
    }
}

impl Database {
    /// The mismatch that was found, if the database is no longer the one that this process began with.
    #[must_use]
    pub fn mismatch(&self) -> Option<&Mismatch> {
        self.inner.guard.mismatch()
    }

    /// Sets how to find what this process has written. The first one given counts.
    pub fn find_with(
        &self,
        finder: impl Fn(&mut AnyConnection, Depth) -> Result<(), DatabaseError> + Send + Sync + 'static,
    ) {
        let _ = self.inner.guard.finder.set(Box::new(finder));
    }

    /// Checks that the database can be used, as far as its files tell. Cheap: for SQLite four calls of `stat`.
    ///
    /// # Errors
    /// [`DatabaseError::Mismatch`].
    pub fn usable(&self) -> Result<(), DatabaseError> {
        self.inner.guard.look().map(drop)
    }

    /// Call it last in a transaction that writes: the database is then known to be the one that this process began with.
    ///
    /// # Errors
    /// [`DatabaseError::Mismatch`], for good; the transaction must not commit.
    pub fn about_to_commit(&self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        self.has_known_schema(conn)?;
        self.find(conn, Depth::Newest)
    }

    /// Checks that no newer version has migrated the database. Read in a transaction that has written, it holds until
    /// that commits: a migration that changes the same tables waits for it.
    ///
    /// # Errors
    /// [`DatabaseError::Mismatch`], for good.
    pub fn has_known_schema(&self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        let newer = migrate::newer(conn)?;
        newer.map_or(Ok(()), |migration| Err(self.inner.guard.found(Mismatch::SchemaNewer(migration))))
    }

    /// Call it after a commit and before anything is answered: what was committed is in the files at the path.
    ///
    /// # Errors
    /// [`DatabaseError::InDoubt`]: it must not count as recorded.
    pub fn committed(&self) -> Result<(), DatabaseError> {
        self.inspect().map_err(|_| DatabaseError::InDoubt)
    }

    /// Checks that the database is the one that was opened, and that nobody has written over its file.
    ///
    /// # Errors
    /// [`DatabaseError::Mismatch`]; others when that can't be found out.
    pub fn inspect(&self) -> Result<(), DatabaseError> {
        let guard = &self.inner.guard;
        let stamp = guard.look()?;
        let mut known = guard.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == stamp {
            return Ok(());
        }
        // The file itself was written to. Most often that was a checkpoint of its write-ahead log; it could also be a
        // backup that was copied over it. Connections that stand see their cached pages and wouldn't notice: a new one looks.
        if guard.finder.get().is_some() {
            self.find(&mut connection::open_to_look(&self.inner.url)?, Depth::All)?;
        }
        *known = stamp;
        Ok(())
    }

    /// Looks at all of it, without writing.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn confirm(&self) -> Result<(), DatabaseError> {
        let this = self.clone();
        self.read(move |conn| {
            this.inspect()?;
            this.about_to_commit(conn)
        })
        .await
    }

    fn find(&self, conn: &mut AnyConnection, depth: Depth) -> Result<(), DatabaseError> {
        let guard = &self.inner.guard;
        let Some(finder) = guard.finder.get() else { return Ok(()) };
        match finder(conn, depth) {
            Ok(()) => Ok(()),
            Err(DatabaseError::Mismatch(mismatch)) => Err(self.judge(mismatch, |conn| finder(conn, depth))),
            Err(error) if error.is_passing() => Err(error),
            // Pages of two databases make no sense together.
            Err(error) => Err(guard.found(Mismatch::RolledBack(error.to_string()))),
        }
    }

    /// The verdict on a database in which something that was signed is missing; `look` looks for it. A connection that
    /// stands may lead to a server that another has taken over from without a loss, and which wakes again: only what a
    /// new one sees counts for good.
    pub fn judge(
        &self,
        mismatch: Mismatch,
        look: impl FnOnce(&mut AnyConnection) -> Result<(), DatabaseError>,
    ) -> DatabaseError {
        let guard = &self.inner.guard;
        let (true, DatabaseUrl::Postgres(_)) = (guard.mismatch().is_none(), &self.inner.url) else {
            return guard.found(mismatch);
        };
        let seen = connection::open(&self.inner.url, ConnectionUse::Reading).and_then(|mut fresh| look(&mut fresh));
        match seen {
            Err(DatabaseError::Mismatch(mismatch)) => guard.found(mismatch),
            Err(error) => error,
            Ok(()) => {
                DatabaseError::Unavailable("the connection leads to a server that is no longer in charge".to_owned())
            }
        }
    }
}
