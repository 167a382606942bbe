//! The decision that a rule would make, and why.

use jiff::Timestamp;
use serde::Serialize;

use super::explanation::{GuestsShown, LimitShown, OfferShown, ReasonShown, ScoreShown, guest_languages};
use crate::decision::decide::Decision;
use crate::decision::trace::Trace;
use crate::eligibility::population::Warning;
use crate::eligibility::simulator::Simulated;
use crate::foundation::ids::PerkSlug;
use crate::foundation::language::Languages;

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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<OfferShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreShown>,
    pub limits: Vec<LimitShown>,
    pub next_eligible_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guests: Option<GuestsShown>,
    pub trace: Trace,
    pub warnings: Vec<Warning>,
}

impl SimulationShown {
    /// The languages that the guest is addressed in.
    #[must_use]
    pub fn guest_languages(&self) -> Vec<&str> {
        guest_languages(&self.reasons, &self.offers)
    }

    /// The answer as those see it who may manage perks, and so may read scores; the words for its guest are in one of
    /// `languages`.
    #[must_use]
    pub fn of(simulated: Simulated, languages: &Languages) -> Self {
        let (at, decided, rule) = (simulated.at, simulated.decided, simulated.rule);
        let (reasons, limits) =
            (decided.reasons.into_iter().map(ReasonShown::from).collect(), LimitShown::all(decided.limits));
        Self {
            perk: simulated.perk,
            version: simulated.version,
            rule_hash: rule.hash().to_owned(),
            at,
            decision: decided.decision,
            tier: decided.tier,
            reasons: ReasonShown::all_for_guests(reasons, &limits, decided.decision, Some(&rule), languages),
            offers: OfferShown::all(decided.decision, Some(&rule), languages),
            score: decided.score.map(|score| ScoreShown::of(score, at, true)),
            limits,
            next_eligible_at: decided.next_eligible_at,
            max_wait: decided.max_wait.map(|wait| wait.to_string()),
            guests: decided.guests.map(Into::into),
            trace: simulated.trace,
            warnings: simulated.warnings,
        }
    }
}
