//! What the writer, and whoever reads back what it wrote, works with.

use std::sync::Arc;
use std::time::Duration;

use crate::database::Database;
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::keyring::Keyring;

/// What the writer works with.
#[derive(Clone)]
pub struct WriterContext {
    pub database: Database,
    pub keyring: Keyring,
    pub clock: Clock,
    pub entropy: Entropy,
    /// What the origins of new logs begin with.
    pub log_origin: Arc<str>,
    /// How long a caller waits for an answer, at most.
    pub patience: Duration,
}

impl WriterContext {
    /// How long one transaction may take, on a server that may hang: half of what a caller waits, so that
    /// there is time to ask on another connection whether it took.
    pub(crate) fn transaction_patience(&self) -> Duration {
        self.patience / 2
    }
}
