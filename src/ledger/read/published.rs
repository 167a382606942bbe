//! The keys that everybody may know, kept up to date: what one replica makes or withdraws holds on all of them
//! within a second.
//!
//! The keyring answers from memory without asking anybody; here it learns when to read again. With it come the names
//! of the logs, as a log key bears another name in each.

use tokio_util::sync::CancellationToken;

use crate::database::followed::ReplicatedSnapshot;
use crate::database::{AnyConnection, DatabaseError};
use crate::keyring::{EPOCH, Keyring, KeyringError};
use crate::ledger::store::heads;
use crate::ledger::{Ledger, origin};
use crate::tlog::note::VerifierKey;

/// Keeps the keyring as new as the database; cheap to clone.
#[derive(Clone)]
pub struct PublishedKeys {
    keyring: Keyring,
    known: ReplicatedSnapshot<Vec<LogName>>,
}

/// The name of a log in its checkpoints.
struct LogName {
    id: String,
    name: String,
    origin: String,
}

/// A key and the log that it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedLogKey {
    /// The log's name; none for all logs of the time before each had a key name of its own.
    pub log: Option<String>,
    pub key: VerifierKey,
}

impl PublishedKeys {
    /// Those of the ledger's keyring, which has read them once already.
    #[must_use]
    pub fn new(ledger: &Ledger) -> Self {
        let keyring = ledger.context().keyring.clone();
        let read = keyring.clone();
        let load = move |conn: &mut AnyConnection, _: &Vec<LogName>| {
            read.reload(conn).map_err(|error| match error {
                KeyringError::Database(error) => error,
                error => DatabaseError::corrupt("keyring", error),
            })?;
            let logs = heads::list_logs(conn)?.into_iter();
            Ok(logs.map(|row| LogName { id: row.id, name: row.name, origin: row.origin }).collect())
        };
        Self { keyring, known: ReplicatedSnapshot::new(ledger.context().database.clone(), EPOCH, load) }
    }

    /// The keys that sign logs, each under the name that it has there: one for each log. No I/O.
    #[must_use]
    pub fn log_keys(&self) -> Vec<PublishedLogKey> {
        let known = self.known.now();
        let mut keys: Vec<PublishedLogKey> = Vec::new();
        for key in self.keyring.log_keys() {
            for log in &known.content {
                let Ok(verifier) = origin::verifier(&log.origin, &log.id, key.verifier()) else { continue };
                let name = (verifier != *key.verifier()).then(|| log.name.clone());
                let published = PublishedLogKey { log: name, key: verifier };
                if !keys.contains(&published) {
                    keys.push(published);
                }
            }
        }
        keys
    }

    /// Reads everything again.
    ///
    /// # Errors
    /// [`DatabaseError`]; what was known then is retained.
    pub async fn reload(&self) -> Result<(), DatabaseError> {
        self.known.reload().await
    }

    /// Follows the database until cancelled.
    pub async fn follow(self, cancel: CancellationToken) {
        self.known.follow(cancel).await;
    }

    /// Sets how a change is announced to the other replicas.
    pub fn announce_with(&self, announce: impl Fn() + Send + Sync + 'static) {
        self.known.announce_with(announce);
    }

    /// Looks at the database soon: someone said that it changed.
    pub fn request_refresh(&self) {
        self.known.request_refresh();
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
