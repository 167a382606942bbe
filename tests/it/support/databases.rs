//! Databases for tests: a new one on every backend that this machine has.

use std::io::Write as _;
use std::process::Command;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};
use perkgate::database::{Backend, Database, DatabaseUrl};
use tempfile::TempDir;

use super::services::{Postgres, postgres_binaries};

/// A database that no other test sees.
pub(crate) struct TestDatabase {
    pub url: DatabaseUrl,
    /// Where the SQLite file is.
    directory: Option<TempDir>,
    /// The server that all tests share, where it is one of its databases.
    shared: Option<&'static Postgres>,
}

impl TestDatabase {
    /// Without tables.
    pub(crate) fn empty_sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("perkgate.db").display()).parse().unwrap();
        Self { url, directory: Some(directory), shared: None }
    }

    /// One without tables on every backend.
    pub(crate) fn empty() -> Vec<Self> {
        let postgres = Postgres::shared().map(|it| Self::shared(it, &it.empty_database()));
        std::iter::once(Self::empty_sqlite()).chain(postgres).collect()
    }

    /// One with the whole schema on every backend.
    pub(crate) fn migrated() -> Vec<Self> {
        let sqlite = Self::empty_sqlite();
        sqlite.open().migrate().unwrap();
        let postgres = Postgres::shared().map(|it| Self::shared(it, &it.migrated_database()));
        std::iter::once(sqlite).chain(postgres).collect()
    }

    /// One with the whole schema on a server that a test stops.
    pub(crate) fn on(postgres: &Postgres) -> Self {
        Self::at(&postgres.migrated_database())
    }

    /// One that is reached by another URL than its server's own.
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.parse().unwrap(), directory: None, shared: None }
    }

    fn shared(server: &'static Postgres, url: &str) -> Self {
        Self { url: url.parse().unwrap(), directory: None, shared: Some(server) }
    }

    pub(crate) fn open(&self) -> Database {
        Database::connect(&self.url, 4).unwrap()
    }

    pub(crate) fn backend(&self) -> Backend {
        self.url.backend()
    }

    /// All it holds, as statements that make another like it.
    pub(crate) fn dump(&self) -> String {
        let mut command = match &self.url {
            DatabaseUrl::Sqlite(path) => {
                let mut command = Command::new("sqlite3");
                command.args([path.as_str(), ".dump"]);
                command
            }
            DatabaseUrl::Postgres(url) => {
                let mut command = Command::new(postgres_binaries().unwrap().join("pg_dump"));
                command.args(["--inserts", "--no-owner", "--no-privileges", "--no-comments", "--dbname", url]);
                command
            }
        };
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Whatever is there for psql or for the server's version alone; lines within texts stay.
        let aside = ["--", "\\", "SET ", "SELECT pg_catalog.set_config("];
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_inclusive('\n').filter(|line| !aside.iter().any(|it| line.starts_with(it))).collect()
    }

    /// Fills an empty one with what another held.
    pub(crate) fn restore(&self, dump: &str) {
        match &self.url {
            DatabaseUrl::Sqlite(path) => SqliteConnection::establish(path).unwrap().batch_execute(dump).unwrap(),
            DatabaseUrl::Postgres(url) => PgConnection::establish(url).unwrap().batch_execute(dump).unwrap(),
        }
    }

    /// The URL as a setting; `Display` leaves the host's credentials out.
    pub(crate) fn setting(&self) -> String {
        match &self.url {
            DatabaseUrl::Sqlite(path) => format!("sqlite:{path}"),
            DatabaseUrl::Postgres(url) => url.clone(),
        }
    }
}

/// A failed test's database is kept, to be looked at. Others go at once: together they are more gigabytes than a
/// small machine has.
impl Drop for TestDatabase {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "the failed test's database: {}", self.url);
            if let Some(directory) = self.directory.take() {
                let _ = directory.keep();
            }
        } else if let (Some(server), DatabaseUrl::Postgres(url)) = (self.shared, &self.url) {
            server.drop_database(url);
        }
    }
}
