//! The answers of limits in the event of a check.

use serde::Deserialize;

use super::canonical::{Canonical, put, read_members};
use super::instant::Instant;
use super::text::Text;

/// One limit's answer.
#[derive(Debug, Deserialize)]
pub(crate) struct LimitFacts<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub scope: Text<'a>,
    #[serde(borrow)]
    pub window: Text<'a>,
    pub cost: u64,
    pub max: u64,
    pub used: u64,
    /// An override used it past its maximum.
    pub past_max: Option<bool>,
    /// There when its uses lapse one by one: up to where they had.
    pub horizon: Option<Instant>,
    /// Where the use stands.
    pub counts_at: Option<Instant>,
}

read_members!(LimitFacts { id, scope, window, cost, max, used, past_max, horizon, counts_at });
