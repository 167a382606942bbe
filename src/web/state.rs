//! The state that the workers of a web door share.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::dry_runs::DryRuns;
use super::rate_limit::RateLimits;
use super::streams::Streams;
use crate::database::Mismatch;
use crate::gateway::Gateway;
use crate::settings::{Bounds, Rates};

/// The most pictures of cameras that are read at once: checks keep the processors.
const PICTURES_AT_ONCE: usize = 2;

/// The counters of keys and addresses, and whether the process is about to stop.
pub struct State {
    pub limits: RateLimits,
    pub(crate) dry_runs: DryRuns,
    pub(crate) streams: Streams,
    /// The turns of pictures to be read.
    pub(crate) frames: Arc<Semaphore>,
    draining: CancellationToken,
}

impl State {
    #[must_use]
    pub fn new(rates: Rates, bounds: Bounds) -> Self {
        Self {
            limits: RateLimits::new(rates),
            dry_runs: DryRuns::default(),
            streams: Streams::new(bounds.streams),
            frames: Arc::new(Semaphore::new(PICTURES_AT_ONCE)),
            draining: CancellationToken::new(),
        }
    }

    /// No new traffic, please: the process is about to stop. `/readyz` says so, and connections
    /// close after their answer; streams end, so that their clients go to another.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// The reasons for which this process is not ready for all that it does, the most important first.
    pub(crate) fn unreadiness(&self, gateway: &Gateway) -> Vec<&'static str> {
        // Everything else follows from it.
        let lost = gateway.database.mismatch().map(Mismatch::code);
        let away = lost.is_none() && (!gateway.directory.is_reachable() || !gateway.catalog.is_reachable());
        [
            (self.is_draining(), "draining"),
            (lost.is_some(), lost.unwrap_or_default()),
            (!is_loaded(gateway), "snapshots_not_loaded"),
            (away, "database_unreachable"),
            // Its own connection or its disk: the readers are well.
            (lost.is_none() && !away && gateway.ledger.is_failing(), "ledger_failing"),
        ]
        .into_iter()
        .filter_map(|(holds, reason)| holds.then_some(reason))
        .chain(gateway.redis_fault().map(|fault| fault.code()))
        .collect()
    }

    /// Cancelled when the process is about to stop.
    pub(crate) fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }
}

/// True if a gateway has what it answers from.
pub(crate) fn is_loaded(gateway: &Gateway) -> bool {
    gateway.directory.is_loaded() && gateway.catalog.is_loaded()
}
