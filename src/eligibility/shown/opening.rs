//! The ways by hand that a refusal leaves open to a desk.

use jiff::Timestamp;
use serde::Serialize;

use crate::eligibility::overrides::openings::Opening;

/// The terms of an override, or of a paid entry.
#[derive(Debug, Serialize)]
pub struct OpeningShown {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    pub tiers: Vec<String>,
    pub left: u64,
    pub resets_at: Option<Timestamp>,
    pub until: Timestamp,
}

impl From<Opening> for OpeningShown {
    fn from(it: Opening) -> Self {
        let Opening { reasons, tiers, left, resets_at, until } = it;
        Self { reasons, tiers, left, resets_at, until }
    }
}
