//! The context that the writer, and a caller that reads back what it wrote, works with.

use std::sync::Arc;
use std::time::Duration;

use crate::database::Database;
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::keyring::Keyring;

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
}

impl WriterContext {
    /// The longest time one transaction may take, on a server that may hang: half of what a caller waits, so that
    /// there is time to ask on another connection whether it took.
    pub(crate) fn transaction_patience(&self) -> Duration {
        self.patience / 2
    }
}
