//! The explanation of a decision, for the API's description: its reasons, the score and the limits that it looked at, and
//! where it is recorded.
#![expect(dead_code, reason = "describes what `eligibility::shown` writes")]

use jiff::Timestamp;
use utoipa::ToSchema;

use crate::decision::reason::ReasonCode;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::http::enumerations;
use crate::http::v1::perks::rules::PriceView;
use crate::rules::attribute::ValueType;

/// Why.
#[derive(ToSchema)]
#[schema(as = Reason)]
pub struct ReasonView {
    /// Stable: branch on this.
    #[schema(value_type = enumerations::ReasonCode)]
    code: ReasonCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    /// The score that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, example = 40)]
    wanted: Option<Decimal>,
    /// The gap. For roles that may not read scores: whole points, rounded up, left out above 10 and in dry runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, example = 3)]
    short_by: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute: Option<String>,
    /// The type that the rule tests `attribute` for, where another was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "number")]
    wanted_type: Option<ValueType>,
    /// The type of the value that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "text")]
    given_type: Option<ValueType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
    /// The most that the limit admits at once, or the guests that the tier lets people bring, where more came: ask for
    /// fewer, no wait helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 5)]
    at_most: Option<u64>,
    /// Number of guests by whom the party is too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 2)]
    over_by: Option<u64>,
    /// The id of the blackout that is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "golden-week")]
    blackout: Option<String>,
    /// When this reason ends, others aside: the answer's own `next_eligible_at` is when the person would be granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_eligible_at: Option<Timestamp>,
    /// The exact reason, in a sentence for those who work with rules; `guest_message` is the one to read out.
    message: String,
    /// A sentence for the guest who isn't let in: the rule's own words, or a standard one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "The lounge is full at the moment.")]
    guest_message: Option<String>,
    /// The language of `guest_message` (BCP 47).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "en")]
    guest_language: Option<String>,
}

/// A name to guests.
#[derive(ToSchema)]
#[schema(as = GuestName)]
pub struct NameView {
    #[schema(example = "貴賓室")]
    name: String,
    /// The language of it (BCP 47).
    #[schema(example = "zh-Hant")]
    language: String,
}

/// The guests of a grant. `admitted` are those who are let in: the free, the charged and the uncounted ones.
#[derive(ToSchema)]
#[schema(as = Guests, example = json!({"admitted": 3, "free": 1, "charged": 1, "uncounted": 1, "refused": 0}))]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct GuestsView {
    admitted: u64,
    free: u64,
    charged: u64,
    /// Children who are too young to count.
    uncounted: u64,
    /// Those who came and are not let in.
    refused: u64,
}

/// Those who came by a grant, once it was corrected: the token goes on saying what was granted.
#[derive(ToSchema)]
#[schema(as = CorrectedParty)]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct CorrectedPartyView {
    /// Number of people, the person included.
    #[schema(example = 2)]
    party: u64,
    /// The guests among them, where the tier says something of guests.
    guests: Option<GuestsView>,
}

/// Something else that a guest who is refused can have.
#[derive(ToSchema)]
#[schema(as = Offer)]
pub struct OfferView {
    #[schema(example = "A day pass for Lounge B")]
    text: String,
    /// The language of `text` (BCP 47).
    #[schema(example = "en")]
    language: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<PriceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://example.com/day-pass")]
    url: Option<String>,
}

/// The score that was looked at; its value only for roles that may read scores.
#[derive(ToSchema)]
#[schema(as = ScoreSeen)]
pub struct ScoreSeenView {
    #[schema(value_type = String, example = "klout")]
    source: SourceName,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    value: Option<Decimal>,
    #[schema(value_type = String, format = DateTime)]
    observed_at: Timestamp,
    age_seconds: i64,
    /// True if it is young enough for the rule.
    fresh: bool,
}

/// The remaining uses of a limit.
#[derive(ToSchema)]
#[schema(as = LimitLeft)]
pub struct LimitView {
    #[schema(example = "person-day")]
    id: String,
    remaining: u64,
    /// Null for a limit that never resets.
    #[schema(value_type = Option<String>, format = DateTime)]
    resets_at: Option<Timestamp>,
}

/// Where the decision stands in the merchant's log. Keep it: with the published log key it holds
/// the gateway to what it said.
#[derive(ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptView {
    #[schema(example = "cathay")]
    log: String,
    index: u64,
    /// SHA-256 of the event as RFC 6962 hashes leaves, in hexadecimal.
    leaf_hash: String,
    /// A signed tree head that covers it (C2SP signed note).
    checkpoint: String,
}
