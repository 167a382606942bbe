//! The keys that everybody may know, kept up to date: what one replica makes or withdraws holds on all of them
//! within a second.
//!
//! The keyring answers from memory without asking anybody; here it is told when to read again.

use tokio_util::sync::CancellationToken;

use super::Ledger;
use crate::database::followed::Followed;
use crate::database::{AnyConnection, DatabaseError};
use crate::keyring::{EPOCH, KeyringError};

/// Keeps the keyring as new as the database; cheap to clone.
#[derive(Clone)]
pub struct PublishedKeys {
    known: Followed<()>,
}

impl PublishedKeys {
    /// Those of the ledger's keyring, which has read them once already.
    #[must_use]
    pub fn new(ledger: &Ledger) -> Self {
        let keyring = ledger.means().keyring.clone();
        let load = move |conn: &mut AnyConnection, (): &()| {
            keyring.reload(conn).map_err(|error| match error {
                KeyringError::Database(error) => error,
                error => DatabaseError::corrupt("keyring", error),
            })
        };
        Self { known: Followed::new(ledger.means().database.clone(), EPOCH, load) }
    }

    /// Follows the database until cancelled.
    pub async fn follow(self, cancel: CancellationToken) {
        self.known.follow(cancel).await;
    }

    /// How to tell the other replicas of a change.
    pub fn announce_with(&self, announce: impl Fn() + Send + Sync + 'static) {
        self.known.announce_with(announce);
    }

    /// Looks at the database soon: somebody said that it changed.
    pub fn nudge(&self) {
        self.known.nudge();
    }

    /// After an own change: reads it, and tells the others.
    pub async fn follow_own_change(&self) {
        self.known.follow_own_change().await;
    }

    /// Makes sure that the keys are no older than this call: a token may name one that was made a moment ago.
    ///
    /// # Errors
    /// [`DatabaseError`] when the database can't be asked.
    pub async fn catch_up(&self) -> Result<(), DatabaseError> {
        self.known.catch_up().await
    }
}
