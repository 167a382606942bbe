//! The decision that a rule would make, and why.

use jiff::Timestamp;
use serde::Serialize;

use super::explanation::{LimitShown, ReasonShown, ScoreShown};
use crate::decision::decide::Decision;
use crate::decision::trace::Trace;
use crate::eligibility::population::Warning;
use crate::eligibility::simulator::Simulated;
use crate::foundation::ids::PerkSlug;

/// The decision that would be made, and why.
#[derive(Debug, Serialize)]
pub struct SimulationShown {
    pub perk: PerkSlug,
    /// None for a rule that is no version.
    pub version: Option<i32>,
    pub rule_hash: String,
    pub at: Timestamp,
    pub decision: Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    pub reasons: Vec<ReasonShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreShown>,
    pub limits: Vec<LimitShown>,
    pub next_eligible_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<String>,
    pub trace: Trace,
    pub warnings: Vec<Warning>,
}

impl From<Simulated> for SimulationShown {
    /// Those who may manage perks may read scores.
    fn from(simulated: Simulated) -> Self {
        let (at, decided) = (simulated.at, simulated.decided);
        Self {
            perk: simulated.perk,
            version: simulated.version,
            rule_hash: simulated.rule_hash,
            at,
            decision: decided.decision,
            tier: decided.tier,
            reasons: decided.reasons.into_iter().map(ReasonShown::from).collect(),
            score: decided.score.map(|score| ScoreShown::of(score, at, true)),
            limits: decided.limits.into_iter().map(LimitShown::from).collect(),
            next_eligible_at: decided.next_eligible_at,
            max_wait: decided.max_wait.map(|wait| wait.to_string()),
            trace: simulated.trace,
            warnings: simulated.warnings,
        }
    }
}
