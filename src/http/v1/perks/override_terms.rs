//! The terms of overriding, for the API's description: rules are read by the room that owns them.
#![expect(dead_code, reason = "describes what rules are read from")]

use utoipa::ToSchema;

use super::rules::LimitWindowView;

/// Whom a desk may let in by hand whom the rule refuses, how often, and past which limits.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleOverride, example = json!({"reasons": ["courtesy"], "max": 20, "window": {"calendar": "day"}}))]
pub struct RuleOverrideView {
    /// The reasons that can be given: a-z, 0-9 and _, a letter first.
    #[schema(min_items = 1, max_items = 20, example = json!(["courtesy", "irregular_operations"]))]
    reasons: Vec<String>,
    /// How many in a window.
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 20)]
    max: u64,
    /// Not `concurrent`.
    window: LimitWindowView,
    /// Whose overrides are counted together; `["perk"]` unless given.
    #[schema(example = json!(["perk"]))]
    scope: Option<Vec<String>>,
    /// The tiers that can be granted so; all unless given.
    #[schema(example = json!(["standard"]))]
    tiers: Option<Vec<String>>,
    /// The limits that an override may use past their maximum; none unless given.
    #[schema(example = json!(["house-day"]))]
    past_limits: Option<Vec<String>>,
}

/// Whom a desk may let in for pay whom the rule refuses, how often, and past which limits.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RulePaid, example = json!({"max": 20, "window": {"calendar": "day"}, "tiers": ["standard"]}))]
pub struct RulePaidView {
    /// How many in a window.
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 20)]
    max: u64,
    /// Not `concurrent`.
    window: LimitWindowView,
    /// Which of them are counted together; `["perk"]` unless given.
    #[schema(example = json!(["perk"]))]
    scope: Option<Vec<String>>,
    /// The tiers that are sold; all unless given.
    #[schema(example = json!(["standard"]))]
    tiers: Option<Vec<String>>,
    /// The limits that a paid entry may use past their maximum; none unless given.
    #[schema(example = json!(["house-day"]))]
    past_limits: Option<Vec<String>>,
}
