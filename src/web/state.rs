//! The state that the workers of a web door share.

use tokio_util::sync::CancellationToken;

use super::dry_runs::DryRuns;
use super::rate_limit::RateLimits;
use super::streams::Streams;
use crate::settings::{Bounds, Rates};

/// The counters of keys and addresses, and whether the process is about to stop.
pub struct State {
    pub limits: RateLimits,
    pub(crate) dry_runs: DryRuns,
    pub(crate) streams: Streams,
    draining: CancellationToken,
}

impl State {
    #[must_use]
    pub fn new(rates: Rates, bounds: Bounds) -> Self {
        Self {
            limits: RateLimits::new(rates),
            dry_runs: DryRuns::default(),
            streams: Streams::new(bounds.streams),
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

    /// Cancelled when the process is about to stop.
    pub(crate) fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }
}
