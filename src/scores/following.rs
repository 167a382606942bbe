//! Follows the epochs of scores: as long as they stand still, what this process read from the database stands too, and may
//! stay in memory for longer than its time to live.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::memory::Memory;
use super::store::epochs::{self, Moved};
use crate::database::Database;
use crate::database::followed::POLL_EVERY;
use crate::foundation::clock::Clock;

/// The longest that a poll may take; after a longer one nothing is known.
const PATIENCE: Duration = Duration::from_secs(3);

/// One who reads the epochs again and again.
pub struct Follower {
    database: Database,
    memory: Memory,
    clock: Clock,
    /// None before the first poll and after one that failed: what was written meanwhile is not known.
    known: Option<HashMap<Moved, i64>>,
}

impl Follower {
    pub(super) fn new(database: Database, memory: Memory, clock: Clock) -> Self {
        Self { database, memory, clock, known: None }
    }

    /// Reads them until cancelled.
    pub async fn follow(mut self, cancel: CancellationToken) {
        let mut polls = interval(POLL_EVERY);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = polls.tick() => self.poll().await,
            }
        }
    }

    /// Reads the epochs, and unseats what was written since they were read before.
    pub async fn poll(&mut self) {
        let as_of = self.clock.now();
        let before = self.known.take();
        let Ok(Ok(epochs)) = timeout(PATIENCE, self.database.read(epochs::list_epochs)).await else { return };
        let moved = |known: &HashMap<Moved, i64>| {
            let moved = epochs.iter().filter(|(row, epoch)| known.get(row) != Some(epoch));
            moved.map(|(row, _)| *row).collect::<Vec<_>>()
        };
        for row in before.as_ref().map_or_else(|| vec![Moved::All], moved) {
            match row {
                Moved::Stripe(stripe) => self.memory.forget_epoch(stripe),
                Moved::All => self.memory.forget_all(),
            }
        }
        self.known = Some(epochs.into_iter().collect());
        // After the rest: who reads this finds the counters moved on.
        self.memory.stood_at(as_of);
    }
}
