//! The findings of a backtest: who would newly be admitted or refused, and whether the record is reproduced.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::population::Warning;
use crate::decision::decide::Decision;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{CheckId, PerkSlug};

/// The decisions a rule would have made about the checks of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backtest {
    pub perk: PerkSlug,
    /// None for a rule that is no version.
    pub version: Option<i32>,
    pub rule_hash: String,
    pub from: Timestamp,
    /// Not part of the period.
    pub to: Timestamp,
    /// The perk's checks in the period.
    pub checks: u64,
    pub replayed: u64,
    pub same: u64,
    pub newly_admitted: u64,
    pub newly_refused: u64,
    pub tier_changed: u64,
    /// Denied instead of referred, or the other way round.
    pub otherwise_decided: u64,
    pub decisions: Vec<Crossing>,
    /// Number of the replayed checks that had each reason.
    pub reasons: Vec<Shift>,
    /// Number of the replayed checks that were granted each tier.
    pub tiers: Vec<Shift>,
    /// The first of each kind.
    pub samples: Samples,
    pub not_replayed: NotReplayed,
    /// The checks that this very rule decided then, and what came of deciding them again.
    pub reproduction: Reproduction,
    pub warnings: Vec<Warning>,
    /// The replayed checks by their scores, for a picture; none where the rule looks at no score.
    #[serde(skip)]
    pub scores: Option<ScoreBars>,
}

/// The replayed checks by the score that each was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreBars {
    pub bars: Vec<ScoreBar>,
    /// Number of checks without a score.
    pub unknown: u64,
}

/// The checks of a part of the scale: from `from` to below `to`; the last one has its `to` too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScoreBar {
    pub from: Decimal,
    pub to: Decimal,
    /// Granted then, and by this rule too.
    pub remained_in: u64,
    pub newly_admitted: u64,
    pub newly_refused: u64,
    /// Granted neither then nor by this rule.
    pub remained_out: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Crossing {
    pub was: Decision,
    pub would_be: Decision,
    pub checks: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shift {
    /// A reason's code or a tier's id.
    pub name: String,
    pub was: u64,
    pub would_be: u64,
}

/// Checks by id; who may read them learns the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Samples {
    pub newly_admitted: Vec<CheckId>,
    pub newly_refused: Vec<CheckId>,
    pub tier_changed: Vec<CheckId>,
    pub otherwise_decided: Vec<CheckId>,
}

/// Checks that can't be decided again. They count as they were: also with what they used of limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NotReplayed {
    /// Checks of persons who were erased since.
    pub erased: u64,
    /// Checks of all perks whose bodies were pruned from the log: which were this one's can't be known any more.
    pub pruned: u64,
    /// Refused because the perk was paused, whatever its rule.
    pub paused: u64,
    /// Granted by a person in the place of a check that was referred.
    pub by_person: u64,
    /// For which the rule looks at something that was not kept, as the rule of then did not look at it.
    pub unkept: u64,
    /// The names of what was not kept.
    pub unkept_attributes: BTreeSet<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reproduction {
    pub checks: u64,
    /// Decided by an earlier reading of rules, so they may differ.
    pub other_engine: u64,
    /// Those that come out otherwise: there must be none.
    pub mismatches: u64,
    pub mismatched: Vec<CheckId>,
}
