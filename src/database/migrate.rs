//! Brings the schema to what this program needs, safely when several start at once.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use diesel::connection::SimpleConnection;
use diesel::dsl::{count_star, max};
use diesel::migration::{Migration as _, MigrationSource};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::Database;
use super::connection::AnyConnection;
use super::error::DatabaseError;
use super::mismatch::Mismatch;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// The advisory lock that migrating processes take: "perkgate" in ASCII.
const LOCK: i64 = 0x7065_726b_6761_7465;

diesel::table! {
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}
use __diesel_schema_migrations as applied;

/// The versions of the migrations that this program brings along, which are the same for both backends.
fn known() -> &'static BTreeSet<String> {
    static KNOWN: OnceLock<BTreeSet<String>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let all = MigrationSource::<Sqlite>::migrations(&SQLITE).unwrap_or_default();
        all.iter().map(|migration| migration.name().version().to_string()).collect()
    })
}

/// Number of the migrations that this program brings along, and the version of the newest: where a database has as many
/// and the same newest one, its schema is this program's.
pub fn known_versions() -> (i64, &'static str) {
    (i64::try_from(known().len()).unwrap_or(i64::MAX), known().last().map_or("", String::as_str))
}

/// An applied migration that this program doesn't know, on a database that has its schema: one that a newer version brought.
///
/// # Errors
/// [`DatabaseError`].
pub(super) fn newer(conn: &mut AnyConnection) -> Result<Option<String>, DatabaseError> {
    // Without `LIMIT`: SQLite looks at its parameter, and prepares the statement again each time.
    let (count, newest): (i64, Option<String>) =
        applied::table.select((count_star(), max(applied::version))).get_result(conn)?;
    // Where all is well two numbers are enough: this is asked in every transaction that writes.
    if usize::try_from(count).is_ok_and(|count| count == known().len()) && newest.as_ref() == known().last() {
        return Ok(None);
    }
    let all: Vec<String> = applied::table.select(applied::version).order(applied::version).load(conn)?;
    Ok(all.into_iter().rfind(|version| !known().contains(version)))
}

/// The same on a database that may have no schema yet.
///
/// # Errors
/// [`DatabaseError::Mismatch`] when there is such a migration.
pub(super) fn refuse_newer(conn: &mut AnyConnection) -> Result<(), DatabaseError> {
    #[derive(QueryableByName)]
    struct There {
        #[diesel(sql_type = Bool)]
        there: bool,
    }
    let query = match conn {
        AnyConnection::Postgres(_) => "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS there",
        AnyConnection::Sqlite(_) => {
            "SELECT count(*) > 0 AS there FROM sqlite_master WHERE name = '__diesel_schema_migrations'"
        }
    };
    let found: There = diesel::sql_query(query).get_result(conn)?;
    let newer = if found.there { newer(conn)? } else { None };
    newer.map_or(Ok(()), |migration| Err(DatabaseError::Mismatch(Mismatch::SchemaNewer(migration))))
}

impl Database {
    /// Applies what is pending and returns the names of it. The migrations themselves don't guard
    /// against a second process, so a lock is held around them.
    ///
    /// # Errors
    /// [`DatabaseError::Schema`] when a migration fails.
    pub fn migrate(&self) -> Result<Vec<String>, DatabaseError> {
        let _turn = self.turn(true);
        let mut conn = self.dedicated()?;
        let failed =
            |e: Box<dyn std::error::Error + Send + Sync>| DatabaseError::Schema(format!("a migration failed: {e}"));
        let applied = match &mut conn {
            AnyConnection::Postgres(conn) => {
                // Another may be migrating for a while, and a migration may take its time.
                conn.batch_execute(
                    "SET lock_timeout = 0; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0",
                )?;
                conn.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})"))?;
                // The lock is the session's: it goes with the connection, whatever happens.
                conn.run_pending_migrations(POSTGRES).map(|done| done.iter().map(ToString::to_string).collect())
            }
            AnyConnection::Sqlite(conn) => {
                // One exclusive lock over all of it; each migration's own transaction is a savepoint.
                conn.exclusive_transaction(|conn| {
                    conn.run_pending_migrations(SQLITE)
                        .map(|done| done.iter().map(ToString::to_string).collect())
                        .map_err(MigrationFailure)
                })
                .map_err(|MigrationFailure(e)| e)
            }
        };
        applied.map_err(failed)
    }

    /// The names of the migrations that are not applied yet.
    ///
    /// # Errors
    /// [`DatabaseError`] when the database can't say.
    pub fn pending_migrations(&self) -> Result<Vec<String>, DatabaseError> {
        let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
            DatabaseError::Schema(format!("the applied migrations can't be read: {e}"))
        };
        let mut conn = self.dedicated()?;
        match &mut conn {
            AnyConnection::Postgres(conn) => {
                conn.pending_migrations(POSTGRES).map(|all| all.iter().map(|m| m.name().to_string()).collect())
            }
            AnyConnection::Sqlite(conn) => {
                conn.pending_migrations(SQLITE).map(|all| all.iter().map(|m| m.name().to_string()).collect())
            }
        }
        .map_err(failed)
    }

    /// Takes every migration back, newest first: it empties the database. For tests of `down.sql`.
    ///
    /// # Errors
    /// [`DatabaseError::Schema`] when one can't be taken back.
    pub fn revert_all(&self) -> Result<(), DatabaseError> {
        let mut conn = self.dedicated()?;
        match &mut conn {
            AnyConnection::Postgres(conn) => conn.revert_all_migrations(POSTGRES).map(drop),
            AnyConnection::Sqlite(conn) => conn.revert_all_migrations(SQLITE).map(drop),
        }
        .map_err(|e| DatabaseError::Schema(format!("a migration could not be taken back: {e}")))
    }
}

struct MigrationFailure(Box<dyn std::error::Error + Send + Sync>);

impl From<diesel::result::Error> for MigrationFailure {
    fn from(error: diesel::result::Error) -> Self {
        Self(Box::new(error))
    }
}
