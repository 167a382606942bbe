//! The context that the writer, and a caller that reads back what it wrote, works with.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::Pseudonym;
use crate::keyring::Keyring;
use crate::ledger::store::history::LoggedRow;

/// The context that the writer works with.
#[derive(Clone)]
pub struct WriterContext {
    pub database: Database,
    pub keyring: Keyring,
    pub clock: Clock,
    pub entropy: Entropy,
    /// The prefix of the origins of new logs.
    pub log_origin: Arc<str>,
    /// The longest time a caller waits for an answer.
    pub patience: Duration,
    pub summaries: Arc<dyn Summaries>,
}

/// A change of sums that was prepared without a lock. False if they have changed since, and nothing was done.
pub type PreparedSums = Box<dyn FnOnce(&mut AnyConnection) -> Result<bool, DatabaseError> + Send>;

/// The sums that another room makes of the events and keeps. They follow in the transaction that takes something away:
/// afterwards nobody can say any more how it was counted.
pub trait Summaries: Send + Sync {
    /// Sums up all that the merchant's log has, in short transactions: pruning comes behind that.
    fn sum_up<'a>(
        &'a self,
        database: &'a Database,
        keyring: &'a Keyring,
        merchant: &'a MerchantId,
    ) -> BoxFuture<'a, Result<(), DatabaseError>>;

    /// The changes that erasing these people makes, if that is so much that the ledger's writer would be kept from its work.
    ///
    /// # Errors
    /// The database's.
    fn prepare_erasing(
        &self,
        conn: &mut AnyConnection,
        keyring: &Keyring,
        merchant: &MerchantId,
        people: &[&Pseudonym],
    ) -> Result<Option<PreparedSums>, DatabaseError>;

    /// These people are about to be erased; their secrets are still there. That sums can't be read keeps no erasure from
    /// being done.
    ///
    /// # Errors
    /// The database's.
    fn erasing(
        &self,
        conn: &mut AnyConnection,
        keyring: &Keyring,
        merchant: &MerchantId,
        people: &[&Pseudonym],
    ) -> Result<(), DatabaseError>;

    /// The bodies of these events are about to go.
    ///
    /// # Errors
    /// The database's; [`DatabaseError::Conflict`] if much is not summed up: do that first.
    fn pruning(
        &self,
        conn: &mut AnyConnection,
        keyring: &Keyring,
        merchant: &MerchantId,
        pruned: &[&LoggedRow],
    ) -> Result<(), DatabaseError>;
}

impl WriterContext {
    /// The longest time one transaction may take, on a server that may hang: half of what a caller waits, so that
    /// there is time to ask on another connection whether it took.
    pub(crate) fn transaction_patience(&self) -> Duration {
        self.patience / 2
    }
}

#[cfg(test)]
impl Summaries for () {
    fn sum_up<'a>(
        &'a self,
        _: &'a Database,
        _: &'a Keyring,
        _: &'a MerchantId,
    ) -> BoxFuture<'a, Result<(), DatabaseError>> {
        Box::pin(async { Ok(()) })
    }

    fn prepare_erasing(
        &self,
        _: &mut AnyConnection,
        _: &Keyring,
        _: &MerchantId,
        _: &[&Pseudonym],
    ) -> Result<Option<PreparedSums>, DatabaseError> {
        Ok(None)
    }

    fn erasing(
        &self,
        _: &mut AnyConnection,
        _: &Keyring,
        _: &MerchantId,
        _: &[&Pseudonym],
    ) -> Result<(), DatabaseError> {
        Ok(())
    }

    fn pruning(
        &self,
        _: &mut AnyConnection,
        _: &Keyring,
        _: &MerchantId,
        _: &[&LoggedRow],
    ) -> Result<(), DatabaseError> {
        Ok(())
    }
}
