//! The state that the workers of a web door share.

use std::sync::atomic::{AtomicBool, Ordering};

use super::dry_runs::DryRuns;
use super::rate_limit::RateLimits;
use crate::settings::Rates;

/// The counters of keys and addresses, and whether the process is about to stop.
pub struct State {
    pub limits: RateLimits,
    pub(crate) dry_runs: DryRuns,
    draining: AtomicBool,
}

impl State {
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        Self { limits: RateLimits::new(rates), dry_runs: DryRuns::default(), draining: AtomicBool::new(false) }
    }

    /// No new traffic, please: the process is about to stop. `/readyz` says so, and connections
    /// close after their answer.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
