//! The gauges: what is looked at when metrics are asked for, instead of being kept up to date by requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Gateway;
use crate::redis_link::RedisLink;
use crate::telemetry::meters;

/// The longest that the one read from the database may take; without it what was read before stands.
const READ_PATIENCE: Duration = Duration::from_millis(500);

impl Gateway {
    /// Sets the gauges to how things are now.
    pub async fn observe(&self) {
        let meters = meters();
        let load = self.ledger.load();
        meters.ledger_queue.set_count([], load.waiting as u64);
        meters.ledger_queue_limit.set_count([], load.capacity as u64);
        meters.limits_near_full.set_count([], load.limits_near_full as u64);

        let began = self.keyring.token_key().signs_from();
        meters.token_key_age.set([], self.clock.now().duration_since(began).as_secs_f64().max(0.0));

        let reachable = self.directory.is_reachable() && self.catalog.is_reachable();
        meters.database_up.set_count([], u64::from(reachable && self.database.mismatch().is_none()));
        for (pool, state) in ["read", "write"].into_iter().zip(self.database.connections()) {
            meters.database_connections.set([pool, "busy"], state.busy.into());
            meters.database_connections.set([pool, "idle"], state.idle.into());
        }
        if let Some(redis) = &self.redis {
            meters.redis_up.set_count([], u64::from(RedisLink::is_up(redis)));
        }
        self.observe_logs().await;
    }

    /// One look at a time: those at a database that hangs must not pile up.
    async fn observe_logs(&self) {
        static UNDER_WAY: AtomicBool = AtomicBool::new(false);
        if UNDER_WAY.swap(true, Ordering::Acquire) {
            return;
        }
        let (ledger, scores) = (self.ledger.clone(), self.scores.clone());
        let read = tokio::spawn(async move {
            if let Ok((logs, events)) = ledger.reader().log_totals().await {
                meters().logs.set_count([], logs);
                meters().log_events.set_count([], events);
            }
            if let Ok(held) = scores.count_held().await {
                meters().held_feeds.set_count([], held);
            }
            UNDER_WAY.store(false, Ordering::Release);
        });
        // The task goes on; the next caller finds what it read.
        let _ = tokio::time::timeout(READ_PATIENCE, read).await;
    }
}
