//! One connection, to either database, and how it is opened.

use std::fmt;
use std::path::{Path, absolute};
use std::str::FromStr;
use std::time::{Duration, Instant};

use diesel::Connection as _;
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::pg::PgConnection;
use diesel::sqlite::SqliteConnection;

use super::error::DatabaseError;
use super::file;
use super::postgres;
use super::statement_time::NoteSending;

/// The longest that opening a SQLite file waits for others who open it too.
const WAL_PATIENCE: Duration = Duration::from_secs(5);

/// A connection to PostgreSQL or to SQLite. (The derive breaks if it is called `Connection`.)
#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Where the database is: `sqlite:PATH` or `postgres://…`. May hold a password: its `Debug` and
/// `Display` leave that out.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(String),
    Postgres(String),
}

/// Why a text is no database URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    #[error("a database is `sqlite:PATH` or `postgres://USER@HOST/NAME`")]
    Scheme,
    #[error("a `%` in it must begin two hexadecimal digits: write `%25` for the character itself")]
    PercentEncoding,
    #[error("the port must be a number; in a user or password write `/` as `%2F`, `:` as `%3A` and `@` as `%40`")]
    Port,
    #[error("an in-memory SQLite database can't be shared by connections: name a file")]
    InMemory,
    #[error(
        "this build has no TLS for PostgreSQL, so `sslmode={0}` can't be kept: build with `--features postgres-tls`, or take it out of the URL"
    )]
    Tls(String),
}

impl DatabaseUrl {
    /// Which database it is.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        match self {
            Self::Sqlite(_) => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
        }
    }

    /// Looks whether there can be a SQLite database where this says, without opening or making anything.
    ///
    /// # Errors
    /// [`DatabaseError::File`].
    pub fn check(&self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(path) => file::check(Path::new(path)).map_err(DatabaseError::File),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// The same database, named so that it doesn't matter which directory is the current one.
    pub(super) fn absolute(&self) -> Result<Self, DatabaseError> {
        let Self::Sqlite(path) = self else { return Ok(self.clone()) };
        let absolute = absolute(path).map_err(DatabaseError::unavailable)?;
        Ok(Self::Sqlite(absolute.to_string_lossy().into_owned()))
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(DatabaseUrlError::Scheme),
                ":memory:" => Err(DatabaseUrlError::InMemory),
                path => Ok(Self::Sqlite(path.to_owned())),
            };
        }
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        check_postgres(rest.ok_or(DatabaseUrlError::Scheme)?)?;
        let sslmode = text.split(['?', '&']).find_map(|part| part.strip_prefix("sslmode="));
        match sslmode {
            // Never silently plain: a client that asks for TLS gets it or an error.
            Some(mode @ ("require" | "verify-ca" | "verify-full")) if !cfg!(feature = "postgres-tls") => {
                Err(DatabaseUrlError::Tls(mode.to_owned()))
            }
            _ => Ok(Self::Postgres(text.to_owned())),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{path}"),
            Self::Postgres(url) => {
                let place = url
                    .rsplit_once('@')
                    .map_or_else(|| url.split_once("://").map_or("", |(_, rest)| rest), |(_, place)| place);
                write!(f, "postgres://{}", place.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The use that a connection is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionUse {
    /// It may keep a snapshot for as long as it works on what it read.
    Reading,
    /// It holds locks that others wait for, so it may not dwell between two statements.
    Writing,
    /// The same, and it runs the same few statements all the time: the ledger's.
    Recording,
}

/// Opens one connection and sets it up.
///
/// # Errors
/// [`DatabaseError::Unavailable`] when nothing answers.
pub(super) fn open(url: &DatabaseUrl, purpose: ConnectionUse) -> Result<AnyConnection, DatabaseError> {
    let unavailable = |error: diesel::ConnectionError| DatabaseError::unavailable(error);
    match url {
        DatabaseUrl::Sqlite(path) => open_file(path).map_err(|error| {
            let fault = file::explain(Path::new(path), &error.to_string());
            fault.map_or(error, DatabaseError::File)
        }),
        DatabaseUrl::Postgres(url) => {
            let mut conn = PgConnection::establish(&bounded(url)).map_err(unavailable)?;
            conn.set_instrumentation(NoteSending);
            postgres::set_up(&mut conn, purpose)?;
            Ok(AnyConnection::Postgres(conn))
        }
    }
}

/// Opens one connection that only reads, and takes the file for what it is: to set it up would write to it, and wait for
/// everybody else where a backup is not in WAL mode.
///
/// # Errors
/// [`DatabaseError::Unavailable`] when nothing answers.
pub(super) fn open_to_look(url: &DatabaseUrl) -> Result<AnyConnection, DatabaseError> {
    let DatabaseUrl::Sqlite(path) = url else { return open(url, ConnectionUse::Reading) };
    let opened = SqliteConnection::establish(&file::uri(path, file::READ_WRITE));
    let mut conn = opened.map_err(DatabaseError::unavailable)?;
    conn.batch_execute("PRAGMA busy_timeout = 1000; PRAGMA query_only = ON;")?;
    Ok(AnyConnection::Sqlite(conn))
}

fn open_file(path: &str) -> Result<AnyConnection, DatabaseError> {
    let opened = SqliteConnection::establish(&file::uri(path, file::READ_WRITE));
    let mut conn = opened.map_err(DatabaseError::unavailable)?;
    conn.batch_execute("PRAGMA busy_timeout = 5000;")?;
    switch_to_wal(&mut conn)?;
    // secure_delete: what is deleted is overwritten, and not only forgotten; an erased person's row
    // must not lie about in the file. FULL, because in WAL mode NORMAL loses the last commits at a power cut, and a token may
    // be out already. The page cache is each connection's own and is kept as long as it: eight readers came to
    // hold 16 MB each one after another, as long runs filled them; the system caches the file anyway.
    conn.batch_execute(
        "PRAGMA secure_delete = ON; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -4000; \
         PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;",
    )?;
    Ok(AnyConnection::Sqlite(conn))
}

/// Two processes that open a new file at once both want to switch it, and SQLite answers one of them
/// with "locked" at once: its busy handler is not asked where waiting could be for ever. The other is
/// done in a moment.
fn switch_to_wal(conn: &mut SqliteConnection) -> Result<(), DatabaseError> {
    let began = Instant::now();
    loop {
        match conn.batch_execute("PRAGMA journal_mode = WAL;").map_err(DatabaseError::from) {
            Err(DatabaseError::Busy) if began.elapsed() < WAL_PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            switched => return switched,
        }
    }
}

/// The URL with bounds on silence, unless it sets its own: a server that vanishes without a word would
/// otherwise hold the one writer for as long as TCP waits. And never a standby: it can't record.
fn bounded(url: &str) -> String {
    const BOUNDS: [&str; 6] = [
        "connect_timeout=3",
        "tcp_user_timeout=5000",
        "keepalives_idle=5",
        "keepalives_interval=2",
        "keepalives_count=3",
        "target_session_attrs=read-write",
    ];
    let mut url = url.to_owned();
    for bound in BOUNDS {
        let name = bound.split('=').next().unwrap_or_default();
        if !url.contains(&format!("{name}=")) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(bound);
        }
    }
    url
}

/// Refuses here what libpq would refuse by quoting it, password and all.
fn check_postgres(rest: &str) -> Result<(), DatabaseUrlError> {
    let bytes = rest.as_bytes();
    for (at, _) in rest.match_indices('%') {
        let digits = bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        if !digits {
            return Err(DatabaseUrlError::PercentEncoding);
        }
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let places = authority.rsplit_once('@').map_or(authority, |(_, places)| places);
    for place in places.split(',') {
        let port = place.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(DatabaseUrlError::Port);
        }
    }
    Ok(())
}

/// Begins a transaction. On SQLite it takes the write lock at once (`BEGIN IMMEDIATE`): a deferred
/// transaction that reads first can't be upgraded when another wrote in between. On PostgreSQL it says how
/// it is isolated: a database or role may default to more, and who only waited for a lock would be refused.
pub fn begin(conn: &mut AnyConnection) -> Result<(), DatabaseError> {
    Ok(match conn {
        AnyConnection::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE"),
        AnyConnection::Postgres(c) => {
            AnsiTransactionManager::begin_transaction_sql(c, "BEGIN ISOLATION LEVEL READ COMMITTED")
        }
    }?)
}

/// From here until the rollback everything is read as it stands now, whatever is written meanwhile.
pub fn begin_snapshot(conn: &mut AnyConnection) -> Result<(), DatabaseError> {
    Ok(match conn {
        // Not IMMEDIATE: that would keep the ledger from writing.
        AnyConnection::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN DEFERRED"),
        AnyConnection::Postgres(c) => {
            AnsiTransactionManager::begin_transaction_sql(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        }
    }?)
}

/// Runs `f`, which only reads, on one snapshot.
///
/// # Errors
/// The errors of `f`, or of the snapshot's beginning and end.
pub fn snapshot<T, E: From<DatabaseError>>(
    conn: &mut AnyConnection,
    f: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, E> {
    begin_snapshot(conn)?;
    let read = f(conn);
    rollback(conn)?;
    read
}

/// Commits; on an error it is not known whether it took.
pub fn commit(conn: &mut AnyConnection) -> Result<(), DatabaseError> {
    Ok(crate::on_either!(conn, |c| AnsiTransactionManager::commit_transaction(c))?)
}

/// Takes everything since [`begin`] back.
pub fn rollback(conn: &mut AnyConnection) -> Result<(), DatabaseError> {
    Ok(crate::on_either!(conn, |c| AnsiTransactionManager::rollback_transaction(c))?)
}

/// Asks for a word, to find out whether the connection is alive.
pub fn ping(conn: &mut AnyConnection) -> Result<(), DatabaseError> {
    Ok(crate::on_either!(conn, |c| c.batch_execute("SELECT 1"))?)
}

/// Runs `f` in one transaction.
///
/// # Errors
/// The errors of `f`, after rolling back, or the commit's own error.
pub fn transaction<T, E: From<DatabaseError>>(
    conn: &mut AnyConnection,
    f: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, E> {
    begin(conn)?;
    match f(conn) {
        Ok(value) => match commit(conn) {
            Ok(()) => Ok(value),
            // The server may have committed before the connection broke.
            Err(DatabaseError::Unavailable(_)) => Err(DatabaseError::InDoubt.into()),
            Err(error) => Err(error.into()),
        },
        Err(error) => {
            match rollback(conn) {
                Ok(()) => {}
                // The server rolls back what it lost the connection of.
                Err(DatabaseError::Unavailable(failure)) if matches!(conn, AnyConnection::Postgres(_)) => {
                    tracing::debug!(error = %failure, "could not roll back");
                }
                Err(failure) => tracing::warn!(error = %failure, "could not roll back"),
            }
            Err(error)
        }
    }
}

/// Runs the same body with the concrete connection of either backend bound to `$conn`: batch
/// inserts and `ON CONFLICT` don't compile through the enum.
#[macro_export]
macro_rules! on_either {
    ($any:expr, |$conn:ident| $body:expr) => {
        match $any {
            $crate::database::AnyConnection::Postgres($conn) => $body,
            $crate::database::AnyConnection::Sqlite($conn) => $body,
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_no_password() {
        let url: DatabaseUrl = "postgres://perk:s3cret@db.example/perkgate?application_name=x".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://db.example/perkgate");
        assert_eq!(format!("{url:?}"), "postgres://db.example/perkgate");
    }

    #[test]
    fn a_url_is_sqlite_or_postgres_and_keeps_its_tls() {
        assert_eq!("sqlite:perkgate.db".parse::<DatabaseUrl>().unwrap(), DatabaseUrl::Sqlite("perkgate.db".into()));
        for (url, why) in [
            ("postgres://u:hunter2%secret@h/d", DatabaseUrlError::PercentEncoding),
            ("postgres://u:hunter2/x@h/d", DatabaseUrlError::Port),
            ("postgres://u:p@h:54x/d", DatabaseUrlError::Port),
        ] {
            assert_eq!(url.parse::<DatabaseUrl>(), Err(why), "{url}");
        }
        for url in [
            "postgres://u:p%2F@h:5432/d",
            "postgres:///d?host=/run/pg",
            "postgres://u@[::1]:5432/d",
            "postgres://a:1,b:2/d",
        ] {
            assert!(url.parse::<DatabaseUrl>().is_ok(), "{url}");
        }
        assert_eq!("mysql://x".parse::<DatabaseUrl>(), Err(DatabaseUrlError::Scheme));
        assert_eq!("sqlite::memory:".parse::<DatabaseUrl>(), Err(DatabaseUrlError::InMemory));
        #[cfg(not(feature = "postgres-tls"))]
        assert_eq!(
            "postgres://h/d?sslmode=require".parse::<DatabaseUrl>(),
            Err(DatabaseUrlError::Tls("require".into()))
        );
    }
}
