//! The answers of simulations for everyone and of backtests, for the API's description. The rooms write them
//! themselves, a line at a time; a test holds every member to this.
#![expect(dead_code, reason = "describes what eligibility's own types write")]

use utoipa::ToSchema;

use super::simulations::TrialWarningView;
use crate::http::enumerations::{Decision, ReasonCode};

/// The effect that a rule would have on everyone.
#[derive(ToSchema)]
#[schema(as = Everyone)]
pub struct EveryoneView {
    #[schema(example = "sfo-lounge")]
    perk: String,
    /// Null for a rule that is no version.
    version: Option<i32>,
    rule_hash: String,
    #[schema(format = DateTime)]
    at: String,
    #[schema(example = "klout")]
    source: String,
    /// The number of subjects that have a score from the source.
    total: u64,
    granted: u64,
    denied: u64,
    referred: u64,
    /// Highest rank first.
    tiers: Vec<TierCountView>,
    /// Those who would not be granted, by their first reason.
    refused: Vec<ReasonCountView>,
    /// Whose score is older than the rule takes.
    stale: u64,
    scores: DistributionView,
    /// Every score that a condition compares with.
    thresholds: Vec<ThresholdView>,
    /// About the lowest threshold.
    near: Option<NearView>,
    /// Against the published version; null where that is the same rule, or goes by another source.
    published: Option<AgainstView>,
    warnings: Vec<TrialWarningView>,
}

#[derive(ToSchema)]
#[schema(as = TierCount)]
pub struct TierCountView {
    #[schema(example = "standard")]
    tier: String,
    name: String,
    subjects: u64,
}

#[derive(ToSchema)]
#[schema(as = ReasonCount)]
pub struct ReasonCountView {
    code: ReasonCode,
    subjects: u64,
}

/// The distribution of the scores on the source's scale.
#[derive(ToSchema)]
#[schema(as = Distribution)]
pub struct DistributionView {
    minimum: f64,
    maximum: f64,
    bins: Vec<BinView>,
}

/// From `from` to below `to`; the last one has its `to` too.
#[derive(ToSchema)]
#[schema(as = Bin)]
pub struct BinView {
    from: f64,
    to: f64,
    subjects: u64,
}

/// A score that conditions compare with, and how many lie on which side of it.
#[derive(ToSchema)]
#[schema(as = Threshold)]
pub struct ThresholdView {
    #[schema(example = 40)]
    value: f64,
    /// The tiers whose condition names it; none for the rule's own.
    tiers: Vec<String>,
    below: u64,
    at: u64,
    above: u64,
}

/// The subjects that are close to the lowest threshold.
#[derive(ToSchema)]
#[schema(as = Near)]
pub struct NearView {
    threshold: f64,
    #[schema(example = 3)]
    within: f64,
    /// Below it, by no more than `within`.
    below: u64,
    /// At it or above it, by no more than `within`.
    above: u64,
}

/// The changes against the published version.
#[derive(ToSchema)]
#[schema(as = Against)]
pub struct AgainstView {
    version: i32,
    /// Granted by the rule, and not by the published version.
    newly_admitted: u64,
    /// Granted by the published version, and not by the rule.
    newly_refused: u64,
    /// Granted by both, in another tier.
    tier_changed: u64,
}

/// The decisions that a rule would have made on the checks of a period.
#[derive(ToSchema)]
#[schema(as = Backtest)]
pub struct BacktestView {
    #[schema(example = "sfo-lounge")]
    perk: String,
    /// Null for a rule that is no version.
    version: Option<i32>,
    rule_hash: String,
    #[schema(format = DateTime)]
    from: String,
    #[schema(format = DateTime)]
    to: String,
    /// The perk's checks in the period.
    checks: u64,
    replayed: u64,
    same: u64,
    newly_admitted: u64,
    newly_refused: u64,
    tier_changed: u64,
    /// Denied instead of referred, or the other way round.
    otherwise_decided: u64,
    decisions: Vec<CrossingView>,
    /// The number of replayed checks that had each reason.
    reasons: Vec<ShiftView>,
    /// The number of replayed checks that were granted each tier.
    tiers: Vec<ShiftView>,
    /// The first 20 of each kind.
    samples: SamplesView,
    not_replayed: NotReplayedView,
    reproduction: ReproductionView,
    warnings: Vec<TrialWarningView>,
}

#[derive(ToSchema)]
#[schema(as = Crossing)]
pub struct CrossingView {
    was: Decision,
    would_be: Decision,
    checks: u64,
}

#[derive(ToSchema)]
#[schema(as = Shift)]
pub struct ShiftView {
    /// A reason's code or a tier's id.
    #[schema(example = "score_met")]
    name: String,
    was: u64,
    would_be: u64,
}

/// Checks by their ids.
#[derive(ToSchema)]
#[schema(as = Samples)]
pub struct SamplesView {
    newly_admitted: Vec<String>,
    newly_refused: Vec<String>,
    tier_changed: Vec<String>,
    otherwise_decided: Vec<String>,
}

/// Checks that can't be decided again; they count as they were.
#[derive(ToSchema)]
#[schema(as = NotReplayed)]
pub struct NotReplayedView {
    /// Checks of persons who were erased since.
    erased: u64,
    /// Checks whose bodies were pruned from the log, of all perks: which were this one's can't be known any more.
    pruned: u64,
    /// Refused because the perk was paused, or its place was closed.
    paused: u64,
    /// Granted by a person in the place of a check that was referred.
    by_person: u64,
    /// For which the rule looks at something that was not kept.
    unkept: u64,
    #[schema(example = json!(["context.terminal"]))]
    unkept_attributes: Vec<String>,
}

/// The checks that this very rule decided then, decided again.
#[derive(ToSchema)]
#[schema(as = Reproduction)]
pub struct ReproductionView {
    checks: u64,
    /// Decided by an earlier reading of rules.
    other_engine: u64,
    /// Those that come out otherwise: there must be none.
    mismatches: u64,
    mismatched: Vec<String>,
}
