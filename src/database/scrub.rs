//! The remains of deleted rows in a database's own files, and getting rid of them.

use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Integer;

use super::{AnyConnection, Database, DatabaseError, blocking};

/// The longest that emptying SQLite's write-ahead log waits for readers: writers wait as long.
const SQLITE_PATIENCE: Duration = Duration::from_millis(250);

#[derive(diesel::QueryableByName)]
struct Checkpointed {
    #[diesel(sql_type = Integer)]
    busy: i32,
}

impl Database {
    /// Makes sure that rows of `tables` that were deleted before are removed from the database's files too.
    /// SQLite overwrites them as it deletes, but its write-ahead log has older pages: it is copied back
    /// and emptied. PostgreSQL keeps deleted rows until a vacuum: `tables` are vacuumed, for `patience`
    /// at most. False when someone still looks at the past, or it would take longer: try again later.
    ///
    /// # Errors
    /// The errors of the database.
    pub async fn scrub(&self, tables: &'static str, patience: Duration) -> Result<bool, DatabaseError> {
        let this = self.clone();
        blocking(move || {
            // Outside the pools: it changes what the connection waits for.
            let mut conn = this.dedicated()?;
            match &mut conn {
                AnyConnection::Sqlite(conn) => {
                    let _turn = this.turn(false);
                    conn.batch_execute(&format!("PRAGMA busy_timeout = {}", SQLITE_PATIENCE.as_millis()))?;
                    let done: Checkpointed = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(conn)?;
                    Ok(done.busy == 0)
                }
                AnyConnection::Postgres(conn) => {
                    conn.batch_execute(&format!("SET statement_timeout = {}", patience.as_millis()))?;
                    match conn.batch_execute(&format!("VACUUM {tables}")).map_err(DatabaseError::from) {
                        Ok(()) => Ok(true),
                        // It took longer than it may.
                        Err(DatabaseError::Unclassified(_)) => Ok(false),
                        Err(error) => Err(error),
                    }
                }
            }
        })
        .await
    }
}
