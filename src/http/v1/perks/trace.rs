//! A decision taken apart, for the API's description: eligibility writes it itself.
#![expect(dead_code, reason = "describes what eligibility's own types write")]

use utoipa::ToSchema;

use super::rules::ScalarView;
use crate::http::enumerations::{Decision, Operator, Passed, ReasonCode, TraceKind};

/// Each part of the rule: what it wanted, what it had, and whether it held. Limits are not part of it.
#[derive(ToSchema)]
#[schema(as = Trace, example = json!({
    "valid": {"passed": true, "from": null, "until": null}, "schedule": {"passed": true},
    "score": {"passed": true, "source": "klout", "had": 47, "observed_at": "2012-05-08T18:00:00Z", "age_seconds": 3600},
    "tiers": [{"tier": "standard", "name": "Main lounge", "passed": "true",
               "when": {"kind": "leaf", "passed": "true", "attr": "score", "op": "gte", "wanted": 40, "had": 47}}],
    "decision": "granted", "tier": "standard"}))]
pub(crate) struct TraceView {
    valid: ValidityTraceView,
    /// Absent where the rule has none.
    blackouts: Option<BlackoutsTraceView>,
    schedule: ScheduleTraceView,
    /// Absent where everybody is in.
    rollout: Option<RolloutTraceView>,
    /// Absent where no condition needs the score.
    score: Option<ScoreTraceView>,
    /// Absent where nothing is missing that must be there.
    attributes: Option<AttributesTraceView>,
    /// The rule's own condition; absent where it has none.
    when: Option<ConditionTraceView>,
    /// Highest rank first.
    tiers: Vec<TierTraceView>,
    /// The decision that follows from the parts and from the limits.
    decision: Decision,
    tier: Option<String>,
}

/// From when until when the rule holds.
#[derive(ToSchema)]
#[schema(as = ValidityTrace)]
pub(crate) struct ValidityTraceView {
    passed: bool,
    #[schema(format = DateTime)]
    from: Option<String>,
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// The test of whether no blackout is in force.
#[derive(ToSchema)]
#[schema(as = BlackoutsTrace)]
pub(crate) struct BlackoutsTraceView {
    passed: bool,
    /// The one that is in force.
    #[schema(example = "golden-week")]
    id: Option<String>,
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// The test of whether the perk is open at the instant, validity aside.
#[derive(ToSchema)]
#[schema(as = ScheduleTrace)]
pub(crate) struct ScheduleTraceView {
    passed: bool,
    /// When it next opens, for one that is closed.
    #[schema(format = DateTime)]
    opens: Option<String>,
}

/// The test of whether the person is among those that a partial rollout lets in.
#[derive(ToSchema)]
#[schema(as = RolloutTrace)]
pub(crate) struct RolloutTraceView {
    passed: bool,
    percent: u8,
    /// Where the person stands, in hundredths of a percent; absent when nobody was named.
    had: Option<u16>,
}

/// The test of whether there is a score to go by.
#[derive(ToSchema)]
#[schema(as = ScoreTrace)]
pub(crate) struct ScoreTraceView {
    passed: bool,
    #[schema(example = "klout")]
    source: String,
    had: Option<f64>,
    #[schema(format = DateTime)]
    observed_at: Option<String>,
    age_seconds: Option<i64>,
    /// The oldest that it may be; none is too old without it.
    max_age_seconds: Option<i64>,
    /// The code of what is wrong with it.
    code: Option<ReasonCode>,
}

/// The attributes of the person that have no value, and were declared to deny or refer people without one.
#[derive(ToSchema)]
#[schema(as = AttributesTrace)]
pub(crate) struct AttributesTraceView {
    passed: bool,
    #[schema(example = json!(["subject.status"]))]
    missing: Vec<String>,
}

/// One tier and its condition.
#[derive(ToSchema)]
#[schema(as = TierTrace)]
pub(crate) struct TierTraceView {
    #[schema(example = "standard")]
    tier: String,
    #[schema(example = "Main lounge")]
    name: String,
    passed: Passed,
    /// Absent for a tier that admits everyone who passes the rule's own condition.
    when: Option<ConditionTraceView>,
    /// Absent for a tier that says nothing of guests.
    guests: Option<GuestsTraceView>,
}

/// The test of whether the party has no more guests than a tier admits.
#[derive(ToSchema)]
#[schema(as = GuestsTrace)]
pub(crate) struct GuestsTraceView {
    passed: bool,
    #[schema(example = 3)]
    max: u64,
    /// Those that count.
    #[schema(example = 2)]
    had: u64,
    /// Those that would be let in, the uncounted ones among them; absent where the tier doesn't admit the party.
    #[schema(example = 3)]
    admitted: Option<u64>,
}

/// A condition: `members` of `all` and `any`, the `member` of `not`, or a leaf's test of one attribute.
#[derive(ToSchema)]
#[schema(as = ConditionTrace, example = json!({"kind": "leaf", "passed": "true", "attr": "score", "op": "gte", "wanted": 40, "had": 47}))]
pub(crate) struct ConditionTraceView {
    kind: TraceKind,
    passed: Passed,
    #[schema(no_recursion)]
    members: Option<Vec<ConditionTraceView>>,
    #[schema(no_recursion)]
    member: Option<Box<ConditionTraceView>>,
    #[schema(example = "score")]
    attr: Option<String>,
    op: Option<Operator>,
    /// A list for `in`, `not_in` and `between`; absent for `exists`. Ages are in seconds. For `within` the first and the last
    /// instant of the window, or how far it reaches where they aren't known: the time of the check has to lie in it, not
    /// `had`, which is the instant that it lies around.
    wanted: Option<ShownView>,
    /// The attribute that `wanted` is the value of, where one is compared with another, or that a time window opens by.
    against: Option<String>,
    /// Absent when it is not known.
    had: Option<ShownView>,
}

/// A value as it is shown.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = ShownValue)]
pub(crate) enum ShownView {
    Flag(bool),
    Number(f64),
    Text(String),
    List(Vec<ScalarView>),
}
