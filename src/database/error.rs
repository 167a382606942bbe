//! A database's answers other than rows, distinguished by what the caller should do.

use std::time::Duration;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};

use super::file::FileFault;
use super::mismatch::Mismatch;
use super::statement_time;

/// A failure of the database.
#[derive(Debug, Clone, thiserror::Error)]
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
    /// Something at the path of a SQLite database that can't be one.
    #[error(transparent)]
    File(FileFault),
    /// The server is none that the promises can be kept with.
    #[error("{reason}")]
    Unfit { reason: String, remedy: &'static str },
    /// The server didn't do it, and its driver doesn't tell why: a deadlock, a lock or a statement that took
    /// too long, a full disk. Another try may do.
    #[error("the database did not do it: {0}")]
    Unclassified(String),
    #[error("the query failed: {0}")]
    Query(String),
}

impl DatabaseError {
    /// A stored value that can't be read.
    pub fn corrupt(what: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Corrupt { what, detail: detail.to_string() }
    }

    /// The mismatch, when that is why.
    #[must_use]
    pub const fn mismatch(&self) -> Option<&Mismatch> {
        if let Self::Mismatch(mismatch) = self { Some(mismatch) } else { None }
    }

    /// True if it says something of what was asked, and nothing of the connection.
    #[must_use]
    pub const fn is_about_the_data(&self) -> bool {
        matches!(
            self,
            Self::Conflict
                | Self::Constraint(_)
                | Self::Duplicate(_)
                | Self::NotFound
                | Self::Corrupt { .. }
                | Self::Interrupted
        )
    }

    /// True if trying again later may help.
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
                | Self::Unclassified(_)
        )
    }
}

impl DatabaseError {
    /// Not reachable, as the driver says it: libpq writes several lines, indented.
    pub fn unavailable(error: impl std::fmt::Display) -> Self {
        Self::Unavailable(error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl From<Error> for DatabaseError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::NotFound,
            Error::DatabaseError(kind, detail) => {
                let message = detail.message();
                // PostgreSQL's errors are distinguished by their SQLSTATE, which is what the kind is made of, and never by
                // their text: it is in the server's language.
                match kind {
                    DatabaseErrorKind::UniqueViolation => {
                        Self::Duplicate(detail.constraint_name().unwrap_or(message).to_owned())
                    }
                    DatabaseErrorKind::ForeignKeyViolation
                    | DatabaseErrorKind::NotNullViolation
                    | DatabaseErrorKind::CheckViolation
                    | DatabaseErrorKind::RestrictViolation
                    | DatabaseErrorKind::ExclusionViolation => Self::Constraint(message.to_owned()),
                    DatabaseErrorKind::SerializationFailure => Self::Conflict,
                    DatabaseErrorKind::ClosedConnection
                    | DatabaseErrorKind::UnableToSendCommand
                    // A standby: nothing can be written there now, wherever it came from.
                    | DatabaseErrorKind::ReadOnlyTransaction => Self::unavailable(message),
                    // The driver keeps the other SQLSTATEs to itself.
                    _ => of_sqlite(message).unwrap_or_else(|| of_postgres(&*detail)),
                }
            }
            Error::BrokenTransactionManager => {
                Self::Unavailable("the connection broke inside a transaction".to_owned())
            }
            other => Self::Query(other.to_string()),
        }
    }
}

/// The time within which PostgreSQL judges a statement itself: for a lock, a deadlock or a time-out it waits longer.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Distinguishes a wrong statement, at which the server points as soon as it has read it. It points at a table's name, too,
/// when a lock on it takes too long, so a place alone is no sign.
fn of_postgres(detail: &dyn DatabaseErrorInformation) -> DatabaseError {
    let is_judged_at_once = statement_time::since_sent().is_some_and(|took| took < AT_ONCE);
    let message = detail.message().to_owned();
    if is_judged_at_once && detail.statement_position().is_some() {
        DatabaseError::Query(message)
    } else {
        DatabaseError::Unclassified(message)
    }
}

/// Reads SQLite's message where its driver tells no kind. Its texts are part of its source and in one language.
fn of_sqlite(message: &str) -> Option<DatabaseError> {
    let starts_with = |signs: &[&str]| signs.iter().any(|sign| message.starts_with(sign));
    if starts_with(&["database is locked", "database table is locked", "database schema is locked"]) {
        return Some(DatabaseError::Busy);
    }
    if starts_with(&["database or disk is full", "disk I/O error", "attempt to write a readonly database"]) {
        return Some(DatabaseError::Unavailable(message.to_owned()));
    }
    let is_at_fault = starts_with(&["no such ", "near \"", "table ", "file is not a database", "database disk image"]);
    is_at_fault.then(|| DatabaseError::Query(message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: DatabaseErrorKind, message: &str) -> DatabaseError {
        Error::DatabaseError(kind, Box::new(message.to_owned())).into()
    }

    #[test]
    fn the_language_of_the_server_changes_nothing() {
        let unknown = |message| of(DatabaseErrorKind::Unknown, message);
        for message in
            ["deadlock detected", "Verklemmung (Deadlock) entdeckt", "storniere Anfrage wegen Zeitüberschreitung"]
        {
            assert!(matches!(unknown(message), DatabaseError::Unclassified(_)), "{message}");
            assert!(unknown(message).is_passing(), "{message}");
        }
        for message in ["could not serialize access", "konnte Zugriff nicht serialisieren"] {
            assert!(matches!(of(DatabaseErrorKind::SerializationFailure, message), DatabaseError::Conflict));
            assert!(matches!(of(DatabaseErrorKind::ReadOnlyTransaction, message), DatabaseError::Unavailable(_)));
            assert!(matches!(of(DatabaseErrorKind::ClosedConnection, message), DatabaseError::Unavailable(_)));
        }
    }

    #[test]
    fn sqlite_is_known_by_its_own_words() {
        let unknown = |message| of(DatabaseErrorKind::Unknown, message);
        assert!(matches!(unknown("database is locked"), DatabaseError::Busy));
        assert!(matches!(unknown("database or disk is full"), DatabaseError::Unavailable(_)));
        assert!(matches!(unknown("no such table: logs"), DatabaseError::Query(_)));
    }
}
