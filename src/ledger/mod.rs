//! The one writer of grants, limits, redemptions and audit events.

pub mod entry;
pub mod merkle;
pub mod note;
mod recorded;

pub use recorded::Recorded;

use crate::database::{AnyConnection, DatabaseError};
use entry::EventDraft;

/// Why the ledger did not record something.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The queue is full, or the ledger is stopping: come back later.
    #[error("the ledger is busy")]
    Busy,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The handle of the one writer; cheap to clone.
#[derive(Clone)]
pub struct Ledger;

impl Ledger {
    /// Runs an administrative write in one transaction with its audit events.
    pub async fn change<T, E>(
        &self,
        _f: impl FnOnce(&mut AnyConnection, &mut Vec<EventDraft>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LedgerError> + From<DatabaseError> + Send + 'static,
    {
        Err(LedgerError::Busy.into())
    }
}
