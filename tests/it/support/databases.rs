//! Databases for tests: a new one on every backend that this machine has.

use std::io::Write as _;

use perkgate::database::{Backend, Database, DatabaseUrl};
use tempfile::TempDir;

use super::services::Postgres;

/// A database that no other test sees.
pub struct TestDatabase {
    pub url: DatabaseUrl,
    /// Where the SQLite file is. Kept when the test fails, to be looked at.
    directory: Option<TempDir>,
}

impl TestDatabase {
    /// Without tables.
    pub fn empty_sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("perkgate.db").display()).parse().unwrap();
        Self { url, directory: Some(directory) }
    }

    /// One without tables on every backend.
    pub fn empty() -> Vec<Self> {
        let postgres = Postgres::shared().map(|it| Self { url: it.empty_database().parse().unwrap(), directory: None });
        std::iter::once(Self::empty_sqlite()).chain(postgres).collect()
    }

    /// One with the whole schema on every backend.
    pub fn migrated() -> Vec<Self> {
        let sqlite = Self::empty_sqlite();
        sqlite.open().migrate().unwrap();
        let postgres =
            Postgres::shared().map(|it| Self { url: it.migrated_database().parse().unwrap(), directory: None });
        std::iter::once(sqlite).chain(postgres).collect()
    }

    /// One with the whole schema on a server that a test stops.
    pub fn on(postgres: &Postgres) -> Self {
        Self { url: postgres.migrated_database().parse().unwrap(), directory: None }
    }

    /// One that is reached by another URL than its server's own.
    pub fn at(url: &str) -> Self {
        Self { url: url.parse().unwrap(), directory: None }
    }

    pub fn open(&self) -> Database {
        Database::connect(&self.url, 4).unwrap()
    }

    pub fn backend(&self) -> Backend {
        self.url.backend()
    }

    /// The URL as a setting; `Display` leaves the host's credentials out.
    pub fn setting(&self) -> String {
        match &self.url {
            DatabaseUrl::Sqlite(path) => format!("sqlite:{path}"),
            DatabaseUrl::Postgres(url) => url.clone(),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "the failed test's database: {}", self.url);
            if let Some(directory) = self.directory.take() {
                let _ = directory.keep();
            }
        }
    }
}
