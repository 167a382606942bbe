//! Follows the epochs of scores: as long as they stand still, what this process read from the database stands too, and may
//! stay in memory for longer than its time to live.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::memory::{Memory, Moment};
use super::store::epochs::{self, Moved};
use crate::database::Database;
use crate::database::followed::POLL_EVERY;

/// The longest that a poll may take; after a longer one nothing is known.
const PATIENCE: Duration = Duration::from_secs(3);

/// One who reads the epochs again and again.
pub struct Follower {
    database: Database,
    memory: Memory,
    /// None before the first poll and after one that failed: what was written meanwhile is not known.
    known: Option<HashMap<Moved, i64>>,
}

impl Follower {
    pub(super) fn new(database: Database, memory: Memory) -> Self {
        Self { database, memory, known: None }
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
        let as_of = self.memory.moment();
        let before = self.known.take();
        let Ok(Ok(epochs)) = timeout(PATIENCE, self.database.read(epochs::list_epochs)).await else { return };
        let moved = |known: &HashMap<Moved, i64>| {
            let moved = epochs.iter().filter(|(row, epoch)| known.get(row) != Some(epoch));
            moved.map(|(row, _)| *row).collect::<Vec<_>>()
        };
        let now = self.memory.moment();
        match &before {
            None => self.memory.follow_since(now),
            Some(known) => moved(known).into_iter().for_each(|row| self.forget(row, now)),
        }
        self.known = Some(epochs.into_iter().collect());
        // After the rest: who reads this finds all of it.
        self.memory.stood_at(as_of);
    }

    fn forget(&self, row: Moved, now: Moment) {
        match row {
            Moved::Stripe(stripe) => self.memory.forget_epoch(stripe, now),
            // Not unseated: a long import would leave nothing in memory for longer than until the next poll. Of what it
            // writes, the keys are announced where they can be.
            Moved::Many => self.memory.follow_since(now),
        }
    }
}
