//! What a database can answer other than rows, told apart by what the caller should do.

use diesel::result::{DatabaseErrorKind, Error};

use super::file::FileFault;
use super::guard::Mismatch;

/// A failure of the database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Nothing answers, or the connection died.
    #[error("the database can't be reached: {0}")]
    Unavailable(String),
    /// No connection came free in time, or a lock didn't.
    #[error("the database is busy")]
    Busy,
    /// The work was cut off before it ended.
    #[error("the database work was cut off")]
    Interrupted,
    /// The connection died while committing, and nobody can say yet whether it took.
    #[error("the connection broke during a commit: it is not known whether it took")]
    InDoubt,
    /// Two transactions waited for each other, or could not be ordered: run it again.
    #[error("the transaction lost a conflict with another")]
    Conflict,
    /// Something with this key is there already.
    #[error("a unique constraint was violated: {0}")]
    Duplicate(String),
    /// A row names another that isn't there, or breaks a check.
    #[error("a constraint was violated: {0}")]
    Constraint(String),
    /// A row that had to be there isn't.
    #[error("no such row")]
    NotFound,
    /// A stored value is not one that was ever written.
    #[error("the stored {what} can't be read: {detail}")]
    Corrupt { what: &'static str, detail: String },
    /// The schema is not the one that this program needs.
    #[error("{0}")]
    Schema(String),
    /// It is no longer, or not at all, the database that this process can record in.
    #[error(transparent)]
    Mismatch(Mismatch),
    /// What is at the path of a SQLite database can't be one.
    #[error(transparent)]
    File(FileFault),
    #[error("the query failed: {0}")]
    Query(String),
}

impl DatabaseError {
    /// A stored value that can't be read.
    pub fn corrupt(what: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Corrupt { what, detail: detail.to_string() }
    }

    /// What happened to the database, when that is why.
    #[must_use]
    pub const fn mismatch(&self) -> Option<&Mismatch> {
        if let Self::Mismatch(mismatch) = self { Some(mismatch) } else { None }
    }

    /// Whether trying again later may help.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_)
                | Self::Busy
                | Self::Interrupted
                | Self::InDoubt
                | Self::Conflict
                | Self::Mismatch(_)
                | Self::File(_)
        )
    }
}

impl From<Error> for DatabaseError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::NotFound,
            Error::DatabaseError(kind, detail) => {
                let message = detail.message();
                match kind {
                    DatabaseErrorKind::UniqueViolation => {
                        Self::Duplicate(detail.constraint_name().unwrap_or(message).to_owned())
                    }
                    DatabaseErrorKind::ForeignKeyViolation
                    | DatabaseErrorKind::NotNullViolation
                    | DatabaseErrorKind::CheckViolation => Self::Constraint(message.to_owned()),
                    DatabaseErrorKind::SerializationFailure => Self::Conflict,
                    DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                        Self::Unavailable(message.to_owned())
                    }
                    // Neither driver tells these apart by kind: SQLite by its text only, and libpq
                    // reports a dead server as an unknown error.
                    _ if message.contains("deadlock detected") => Self::Conflict,
                    _ if message.contains("database is locked") || message.contains("database table is locked") => {
                        Self::Busy
                    }
                    _ if message.contains("lock timeout")
                        || message.contains("statement timeout")
                        || message.contains("too many clients") =>
                    {
                        Self::Busy
                    }
                    _ if is_lost(message) => Self::Unavailable(message.to_owned()),
                    _ => Self::Query(message.to_owned()),
                }
            }
            Error::BrokenTransactionManager => {
                Self::Unavailable("the connection broke inside a transaction".to_owned())
            }
            other => Self::Query(other.to_string()),
        }
    }
}

fn is_lost(message: &str) -> bool {
    [
        // A standby or a full disk: nothing can be written there now, wherever it came from.
        "read-only transaction",
        "No space left on device",
        "could not extend file",
        "database or disk is full",
        "disk I/O error",
        "SSL SYSCALL error",
        "server closed the connection",
        "connection to server",
        "no connection to the server",
        "terminating connection",
        "shutting down",
        "starting up",
        "SSL connection has been closed",
        "could not receive data",
        "could not send data",
        "recovery mode",
    ]
    .iter()
    .any(|sign| message.contains(sign))
}
