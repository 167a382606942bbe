//! The turns of counting tries at a PIN or a password.

use tokio::sync::Semaphore;

use super::directory::Directory;
use crate::database::{AnyConnection, DatabaseError};

/// Tries of one person wait for the same rows: each with a connection of its own, many at once would leave nobody else
/// one, and themselves be refused for want of it.
static COUNTING: Semaphore = Semaphore::const_new(1);

impl Directory {
    /// Writes what a try changes, one after another.
    pub(super) async fn count_guess<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let _turn = COUNTING.acquire().await.map_err(|_| DatabaseError::Interrupted)?;
        self.database.write(work).await
    }
}
