//! The way pools open connections, and what they say when they can't.

use std::sync::Arc;

use diesel::connection::SimpleConnection as _;
use diesel::r2d2::ManageConnection;

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
