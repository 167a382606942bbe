//! A SQLite database that can only be read: on a read-only file system, or where its directory is another's.
//!
//! In WAL mode even a reader makes files beside the database, unless they are there. Where it can't, and nobody else has
//! the database open, they can be done without.

use std::fs::Metadata;
use std::path::Path;
use std::time::SystemTime;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::sqlite::SqliteConnection;

use super::connection::{self, AnyConnection, ConnectionUse, DatabaseUrl};
use super::error::DatabaseError;
use super::{file, migrate};

/// A connection for reading, and what must not change meanwhile.
pub struct Reader {
    pub conn: AnyConnection,
    /// Files that are read without a lock, as they were.
    unlocked: Vec<(String, Option<State>)>,
}

type State = (u64, Option<SystemTime>);

impl Reader {
    /// Opens a connection to read by. On a database that can be written it is one like any other.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when nothing answers, or it can't be read either; [`DatabaseError::Mismatch`] for
    /// a schema that a newer build made.
    pub fn open(url: &DatabaseUrl) -> Result<Self, DatabaseError> {
        let mut reader = Self::connect(url)?;
        migrate::refuse_newer(&mut reader.conn)?;
        Ok(reader)
    }

    fn connect(url: &DatabaseUrl) -> Result<Self, DatabaseError> {
        let error = match (connection::open(url, ConnectionUse::Reading), url) {
            (Ok(conn), _) => return Ok(Self { conn, unlocked: Vec::new() }),
            (Err(error), DatabaseUrl::Sqlite(path)) if Path::new(path).is_file() => error,
            (Err(error), _) => return Err(error),
        };
        let DatabaseUrl::Sqlite(path) = url else { return Err(error) };
        let Ok(path) = std::fs::canonicalize(path) else { return Err(error) };
        let Some(path) = path.to_str() else { return Err(error) };
        if let Ok(conn) = read_by(path, "mode=ro", "") {
            return Ok(Self { conn: AnyConnection::Sqlite(conn), unlocked: Vec::new() });
        }
        let beside = |suffix: &str| std::fs::metadata(format!("{path}{suffix}"));
        let has = |suffix: &str| beside(suffix).is_ok_and(|file| file.len() > 0);
        // A process that has it open has this file, too. A rollback journal is nobody's who was left by this program.
        if beside("-shm").is_ok() || has("-journal") {
            return Err(error);
        }
        let unlocked = ["", "-wal"].map(|suffix| format!("{path}{suffix}"));
        let unlocked = unlocked.map(|file| (file.clone(), state(&file))).to_vec();
        let conn = if has("-wal") {
            // What a crash left there was committed. Its index is made in memory when nobody shares it, and the locks
            // that ask for that can't be had on a file that is open for reading.
            read_by(path, "mode=ro&vfs=unix-none", "PRAGMA locking_mode = EXCLUSIVE;")
        } else {
            read_by(path, "mode=ro&immutable=1", "")
        };
        match conn {
            Ok(conn) => Ok(Self { conn: AnyConnection::Sqlite(conn), unlocked }),
            Err(_) => Err(error),
        }
    }

    /// Passes when nobody wrote to what was read without a lock.
    ///
    /// # Errors
    /// [`DatabaseError::Conflict`]: what was read belongs to no one instant.
    pub fn finish(self) -> Result<(), DatabaseError> {
        let Self { conn, unlocked } = self;
        drop(conn);
        let is_same = unlocked.iter().all(|(file, before)| state(file) == *before);
        if is_same { Ok(()) } else { Err(DatabaseError::Conflict) }
    }
}

fn state(file: &str) -> Option<State> {
    std::fs::metadata(file).ok().map(|file: Metadata| (file.len(), file.modified().ok()))
}

/// `first` is said before anything is read.
fn read_by(path: &str, how: &str, first: &str) -> Result<SqliteConnection, DatabaseError> {
    let mut conn = SqliteConnection::establish(&file::uri(path, how)).map_err(DatabaseError::unavailable)?;
    // Sorting must not ask for files either; of these, `cache_size` is the first that reads.
    conn.batch_execute(&format!(
        "{first} PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; \
         PRAGMA query_only = ON; SELECT count(*) FROM sqlite_schema;"
    ))?;
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;
    use diesel::sql_types::BigInt;

    use super::*;

    #[derive(QueryableByName)]
    struct Sum {
        #[diesel(sql_type = BigInt)]
        sum: i64,
    }

    fn sum(conn: &mut SqliteConnection) -> Result<i64, DatabaseError> {
        let sum: Sum = diesel::sql_query("SELECT sum(x) AS sum FROM t").get_result(conn)?;
        Ok(sum.sum)
    }

    /// A database with one row in its file and one in its write-ahead log, as a crash leaves it.
    fn crashed(directory: &Path) -> (String, SqliteConnection) {
        let path = directory.join("a?b#c%20.db").to_str().unwrap().to_owned();
        let mut conn = SqliteConnection::establish(&path).unwrap();
        conn.batch_execute(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x INTEGER); \
             INSERT INTO t VALUES (1); PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES (2);",
        )
        .unwrap();
        let copy = directory.join("copy?#%.db").to_str().unwrap().to_owned();
        for suffix in ["", "-wal"] {
            std::fs::copy(format!("{path}{suffix}"), format!("{copy}{suffix}")).unwrap();
        }
        (copy, conn)
    }

    #[test]
    fn what_a_crash_left_in_the_log_is_read_without_locks_and_without_a_shared_index() {
        let directory = tempfile::tempdir().unwrap();
        let (path, _live) = crashed(directory.path());
        let mut conn = read_by(&path, "mode=ro&vfs=unix-none", "PRAGMA locking_mode = EXCLUSIVE;").unwrap();
        assert_eq!(sum(&mut conn).unwrap(), 3);
        assert!(conn.batch_execute("DELETE FROM t").is_err());
        drop(conn);
        assert!(!Path::new(&format!("{path}-shm")).exists(), "nothing was made");
        assert!(Path::new(&format!("{path}-wal")).exists(), "nothing was taken away");
        // Without its log it is what it was before.
        let mut conn = read_by(&path, "mode=ro&immutable=1", "").unwrap();
        assert_eq!(sum(&mut conn).unwrap(), 1);
    }

    #[test]
    fn a_database_that_can_be_written_is_opened_like_any_other() {
        let directory = tempfile::tempdir().unwrap();
        let (path, _live) = crashed(directory.path());
        let Reader { conn, unlocked } = Reader::open(&DatabaseUrl::Sqlite(path)).unwrap();
        let AnyConnection::Sqlite(mut conn) = conn else { panic!("of SQLite") };
        assert_eq!((sum(&mut conn).unwrap(), unlocked.len()), (3, 0));
    }

    #[test]
    fn what_is_written_meanwhile_was_not_read_at_one_instant() {
        let directory = tempfile::tempdir().unwrap();
        let (path, live) = crashed(directory.path());
        let reader = || {
            let unlocked = [path.clone(), format!("{path}-wal")].map(|file| (file.clone(), state(&file))).to_vec();
            let conn = read_by(&path, "mode=ro&vfs=unix-none", "PRAGMA locking_mode = EXCLUSIVE;").unwrap();
            Reader { conn: AnyConnection::Sqlite(conn), unlocked }
        };
        assert!(reader().finish().is_ok());
        let begun = reader();
        std::fs::write(format!("{path}-wal"), b"another").unwrap();
        assert!(matches!(begun.finish(), Err(DatabaseError::Conflict)));
        drop(live);
    }
}
