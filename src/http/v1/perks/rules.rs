//! A rule and a visit as the API's description has them. The rooms read and write both themselves, more strictly
//! than a schema can say: `/schemas/perk.json` is what editors check rules with. A test holds both to this.
#![expect(dead_code, reason = "describes what perks and eligibility read and write")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::guest_terms::RuleGuestsView;
use super::override_terms::{RuleOverrideView, RulePaidView};
use crate::http::enumerations::{CalendarUnit, Fallback, Operator, Otherwise, PartyCost, Weekday};

/// The attributes of the visit, by names of the rule's choice. `party` counts its people, the person included.
#[derive(ToSchema)]
#[schema(as = Context, example = json!({"terminal": "A", "party": 1}))]
pub struct ContextView {
    /// 1 unless given.
    #[schema(minimum = 1, maximum = 100)]
    party: Option<u8>,
    #[serde(flatten)]
    others: BTreeMap<String, ContextValueView>,
}

/// The value that one name of the visit stands for.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = ContextValue)]
pub enum ContextValueView {
    Text(String),
    Number(f64),
    Flag(bool),
    Texts(Vec<String>),
}

/// The rule of who may have a perk. `{"at_least": 40, "score": "klout"}` is a whole rule; otherwise it has `tiers`,
/// and a `score` that is an object. Versions show it whole, with its defaults filled in and without the short form.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rule, example = json!({"at_least": 40, "score": "klout"}))]
pub struct RuleView {
    /// The least score that is admitted, in place of `tiers`.
    #[schema(example = 40)]
    at_least: Option<f64>,
    score: Option<RuleScoreView>,
    /// The perk's name to guests, by language; its own where none fits.
    names: Option<MessagesView>,
    /// The IANA zone of every time in the rule; UTC unless given.
    #[schema(example = "America/Los_Angeles")]
    time_zone: Option<String>,
    valid: Option<RuleValidityView>,
    schedule: Option<RuleScheduleView>,
    /// Times at which it admits nobody, whatever its hours.
    #[schema(max_items = 50)]
    blackouts: Option<Vec<RuleBlackoutView>>,
    /// The condition that must hold for every tier.
    when: Option<ConditionView>,
    /// The outcomes; of those that admit, the one of the highest rank is granted.
    #[schema(min_items = 1, max_items = 16)]
    tiers: Option<Vec<RuleTierView>>,
    /// Limits on how often, for whom.
    #[schema(max_items = 16)]
    limits: Option<Vec<RuleLimitView>>,
    token: Option<RuleTokenView>,
    rollout: Option<RuleRolloutView>,
    /// `deny` unless given.
    otherwise: Option<OtherwiseView>,
    /// Nobody overrides its refusals unless given.
    r#override: Option<RuleOverrideView>,
    /// Nobody is let in for pay unless given.
    paid: Option<RulePaidView>,
}

/// Which score is asked for: its source's name, or the terms that it is taken under.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = RuleScore)]
pub enum RuleScoreView {
    Source(String),
    Terms(ScoreTermsView),
}

/// The terms that a score is taken under.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScoreTerms)]
pub struct ScoreTermsView {
    /// Where it comes from.
    #[schema(example = "klout")]
    source: String,
    /// An older score is stale (ISO 8601); none is unless given.
    #[schema(example = "P7D")]
    max_age: Option<String>,
    /// `deny` unless given.
    on_stale: Option<Fallback>,
    /// `deny` unless given.
    on_missing: Option<Fallback>,
}

/// When a rule holds: local times in its zone, without an offset.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleValidity)]
pub struct RuleValidityView {
    #[schema(example = "2012-05-08T00:00")]
    from: Option<String>,
    /// Exclusive.
    #[schema(example = "2013-05-08T00:00")]
    until: Option<String>,
}

/// When a perk is open; always unless given.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleSchedule)]
pub struct RuleScheduleView {
    #[schema(max_items = 50)]
    open: Option<Vec<OpeningView>>,
    /// Dates on which no opening begins.
    #[schema(max_items = 366, example = json!(["2012-12-25"]))]
    closed_dates: Option<Vec<String>>,
    /// Said to guests while it is closed, in place of the standard sentence.
    messages: Option<MessagesView>,
}

/// One thing as it is said to guests: 1 to 12 sentences of at most 280 characters, by language (BCP 47, as far as
/// language, script and region).
#[derive(ToSchema)]
#[schema(as = Messages, example = json!({"en": "The lounge is full at the moment.", "zh-Hant": "貴賓室目前已滿。"}))]
pub struct MessagesView(BTreeMap<String, String>);

/// Hours of some days.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Opening)]
pub struct OpeningView {
    #[schema(min_items = 1, max_items = 7)]
    days: Vec<Weekday>,
    #[schema(example = "06:00")]
    from: String,
    /// Exclusive; `24:00` is the end of the day. Before `from` it crosses midnight.
    #[schema(example = "23:00")]
    to: String,
}

/// A time at which a perk admits nobody: once, with `from` and `until`, or `yearly`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleBlackout, example = json!({"id": "golden-week", "from": "2026-10-01T00:00", "until": "2026-10-08T00:00"}))]
pub struct RuleBlackoutView {
    /// Its short name, which refusals carry.
    #[schema(example = "golden-week")]
    id: String,
    /// A local time in the rule's zone, without an offset.
    #[schema(example = "2026-10-01T00:00")]
    from: Option<String>,
    /// Exclusive.
    #[schema(example = "2026-10-08T00:00")]
    until: Option<String>,
    yearly: Option<YearlyDatesView>,
    /// Said to guests meanwhile, in place of the standard sentence.
    messages: Option<MessagesView>,
}

/// The same dates of every year, both included; across New Year where `to` comes before `from`. 29 February is the
/// 28th where there is none.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = YearlyDates)]
pub struct YearlyDatesView {
    #[schema(example = "12-31")]
    from: String,
    #[schema(example = "01-01")]
    to: String,
}

/// One of: `all`, `any` or `not` over other conditions, at most 8 deep and 64 in a rule; or a test of an attribute:
/// `attr` and `op` with `value`, `values` or `ref`; or, for `within`, with `before`, `after`, `opens_by` and `messages`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Condition, example = json!({"attr": "score", "op": "gte", "value": 40}))]
pub struct ConditionView {
    #[schema(no_recursion)]
    all: Option<Vec<ConditionView>>,
    #[schema(no_recursion)]
    any: Option<Vec<ConditionView>>,
    #[schema(no_recursion)]
    not: Option<Box<ConditionView>>,
    /// `score`, `score.age`, `subject.network`, a field of the boarding pass such as `boarding_pass.days_from_today`,
    /// `occupancy.percent`, `context.party`, or another name of the context.
    #[schema(example = "score")]
    attr: Option<String>,
    op: Option<Operator>,
    /// The value that the attribute is compared with; ages are ISO 8601 durations. Fields of a boarding pass are read in
    /// capitals and without leading zeros: flight `873` or `12A`, seat `12A`, sequence `25`, airport `SFO`, carrier `CX`,
    /// compartment `J`; its date as `2026-12-01`, and the days from today to it as a whole number.
    value: Option<ScalarView>,
    /// For `in` and `not_in`, or the two ends of `between`.
    #[schema(max_items = 100)]
    values: Option<Vec<ScalarView>>,
    /// Another attribute to compare with, in place of a value.
    #[schema(example = "context.seats")]
    r#ref: Option<String>,
    /// For `within`: how long before the instant that `attr` is it opens (ISO 8601), PT0S unless given; both ends belong
    /// to it.
    #[schema(example = "PT3H")]
    before: Option<String>,
    /// For `within`: how long after the instant it closes.
    #[schema(example = "PT0S")]
    after: Option<String>,
    /// For `within`: another instant that it opens by, where the visit has it.
    #[schema(example = "context.scheduled_departure")]
    opens_by: Option<String>,
    /// For `within`: said to guests who come before or after it, in place of the tier's words.
    messages: Option<MessagesView>,
}

/// A plain value.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = Scalar)]
pub enum ScalarView {
    Text(String),
    Number(f64),
    Flag(bool),
}

/// An outcome: what is granted, and to whom.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleTier)]
pub struct RuleTierView {
    /// Its short name, which tokens carry.
    #[schema(example = "standard")]
    id: String,
    /// The highest that admits is granted; only a lone tier needs none.
    #[schema(minimum = 1, maximum = 1000)]
    rank: Option<u32>,
    /// Its display name.
    #[schema(example = "Main lounge")]
    name: Option<String>,
    /// Its name to guests, by language; `name` where none fits.
    names: Option<MessagesView>,
    /// Whom it admits; everyone unless given.
    when: Option<ConditionView>,
    /// The longest that it promises to let the person wait (ISO 8601).
    #[schema(example = "PT10M")]
    max_wait: Option<String>,
    /// The guests that its people may bring; any party counts as it is unless given.
    guests: Option<RuleGuestsView>,
    /// Said to guests whom it doesn't admit, in place of the standard sentence.
    messages: Option<MessagesView>,
}

/// The outcome for a person whom no tier admits: a word, or with offers for those who are refused.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = RuleOtherwise)]
pub(crate) enum OtherwiseView {
    Word(Otherwise),
    Terms(OtherwiseTermsView),
}

/// The outcome for a person whom no tier admits, and what else there is.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OtherwiseTerms)]
pub struct OtherwiseTermsView {
    /// `deny` unless given.
    decision: Option<Otherwise>,
    /// Shown with a refusal, never with a grant.
    #[schema(max_items = 5)]
    offers: Option<Vec<RuleOfferView>>,
}

/// Something else that a guest who is refused can have.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleOffer)]
pub struct RuleOfferView {
    text: MessagesView,
    price: Option<PriceView>,
    /// `https` only.
    #[schema(max_length = 500, example = "https://example.com/day-pass")]
    url: Option<String>,
}

/// A price, as it is shown.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Price)]
pub struct PriceView {
    /// A decimal number with at most the digits of its currency.
    #[schema(example = "45.00")]
    amount: String,
    /// ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$", example = "USD")]
    currency: String,
}

/// A limit on how often a perk is granted, and to whom that applies.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleLimit)]
pub struct RuleLimitView {
    /// Its short name; under another one, counting begins again.
    #[schema(example = "person-day")]
    id: String,
    /// The parts that uses are counted by, together: `subject`, `perk`, `tier`, `location`, `kiosk`, `merchant`; `boarding_pass`, for one
    /// visit a pass; `context.` and the name of a member, for one visit a value. By the last two no longer than a month,
    /// or 31 days (of the context 27): they are kept as digests under secrets that are destroyed soon after their month.
    /// A check that doesn't bring them is denied.
    #[schema(min_items = 1, max_items = 10, example = json!(["subject"]))]
    scope: Vec<String>,
    /// The most uses that fit: a number, or others at some locations.
    max: LimitMaxView,
    /// 1 unless given.
    cost: Option<LimitCostView>,
    window: LimitWindowView,
    /// Said to guests when it has no room, in place of the standard sentence.
    messages: Option<MessagesView>,
}

/// The most uses that fit: a number, or one for each location.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = LimitMax)]
pub(crate) enum LimitMaxView {
    Everywhere(u64),
    ByLocation(LocationMaximaView),
}

/// The most uses that fit, by the location of the API key that asks.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LocationMaxima, example = json!({"default": 200, "by_location": {"SFO-A": 120}}))]
pub struct LocationMaximaView {
    /// The most that fit where no location is named, or the key has none.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    default: u64,
    /// At most 200 locations.
    by_location: Option<BTreeMap<String, u64>>,
}

/// The amount that a grant uses of a limit: a number, or `party` for each of its people.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = LimitCost)]
pub(crate) enum LimitCostView {
    Fixed(u32),
    Party(PartyCost),
}

/// Uses within it are counted together. It has one of these members.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LimitWindow, example = json!({"calendar": "day"}))]
pub struct LimitWindowView {
    calendar: Option<CalendarUnit>,
    /// The time that has just passed (ISO 8601).
    #[schema(example = "PT24H")]
    rolling: Option<String>,
    /// For ever: true.
    lifetime: Option<bool>,
    concurrent: Option<ConcurrencyView>,
}

/// Grants that are held at the same time.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Concurrency)]
pub struct ConcurrencyView {
    /// The time for which a guest who isn't released is counted (ISO 8601).
    #[schema(example = "PT4H")]
    max_stay: String,
}

/// The content of a grant's token.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleToken)]
pub struct RuleTokenView {
    /// The doors that take it; the perk's short name unless given.
    #[schema(example = "sfo-lounge")]
    audience: Option<String>,
    /// Its lifetime (ISO 8601), at most a day; PT15M unless given.
    #[schema(example = "PT30M")]
    ttl: Option<String>,
    /// True if a door can spend it once only; true unless given.
    single_use: Option<bool>,
}

/// For a part of the people only.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleRollout)]
pub struct RuleRolloutView {
    /// The share of all people.
    #[schema(minimum = 0, maximum = 100, example = 100)]
    percent: u8,
}
