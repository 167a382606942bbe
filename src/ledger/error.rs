//! Why the ledger did not record something, or could not tell.

use std::fmt::Display;

use crate::database::{Abort, DatabaseError, Mismatch};

/// Why the ledger did not record something.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The queue is full, the deadline has passed, or the ledger is stopping: come back later.
    #[error("the ledger is busy")]
    Busy,
    /// The database is away or in conflict; nothing is known to be recorded.
    #[error("the ledger can't reach its database")]
    Unavailable,
    /// The database went away while this was being committed: only asking again with the same
    /// idempotency key will tell.
    #[error("it is not known whether it was recorded")]
    InDoubt,
    /// The idempotency key stands for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The thing asked for was recorded, and its event's body has been pruned since.
    #[error("what the log said of it has been pruned")]
    Pruned,
    /// Nothing can be recorded until the process is started again.
    #[error(transparent)]
    Mismatch(Mismatch),
    #[error("the ledger could not record it: {0}")]
    Failed(String),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<&DatabaseError> for LedgerError {
    /// One failure, which every waiter of a batch gets.
    fn from(error: &DatabaseError) -> Self {
        match error {
            DatabaseError::InDoubt => Self::InDoubt,
            DatabaseError::Mismatch(mismatch) => Self::Mismatch(mismatch.clone()),
            error if error.is_passing() => Self::Unavailable,
            error => Self::Failed(error.to_string()),
        }
    }
}

impl<E: From<LedgerError>> From<LedgerError> for Abort<E> {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Database(error) => Self::Database(error),
            refused => Self::Refused(refused.into()),
        }
    }
}

/// The error of a stored event that is needed and can't be read: it names the event.
pub(crate) fn unreadable(event: &str, why: impl Display) -> DatabaseError {
    DatabaseError::corrupt("event", format!("{event}: {why}"))
}
