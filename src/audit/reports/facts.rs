//! An event's body as reports read it: only what is counted, borrowed where it can be.

use jiff::Timestamp;
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::audit::reader::text::Text;
use crate::foundation::decimal::Decimal;

/// An event of a kind that is counted. Its kind, instant and place are columns.
#[derive(Deserialize)]
pub(super) struct ReportedEvent<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub about: Text<'a>,
    #[serde(borrow)]
    pub facts: Facts<'a>,
    #[serde(borrow)]
    pub sealed: Option<Text<'a>>,
}

/// The facts of all these kinds in one; each has its own of them.
#[derive(Deserialize)]
pub(super) struct Facts<'a> {
    #[serde(borrow)]
    pub perk: Option<Text<'a>>,
    #[serde(borrow)]
    pub perk_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub tier: Option<Text<'a>>,
    pub rule_version: Option<i64>,
    pub party: Option<u64>,
    pub guests: Option<GuestFacts>,
    /// Corrections only.
    pub corrected: Option<PartyFacts>,
    #[serde(borrow)]
    pub subject: Option<Text<'a>>,
    #[serde(borrow)]
    pub location: Option<Text<'a>>,
    #[serde(borrow)]
    pub kiosk: Option<Text<'a>>,
    #[serde(borrow)]
    pub decision: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub reasons: Vec<ReasonFacts<'a>>,
    #[serde(borrow, default)]
    pub limits: Vec<LimitFacts<'a>>,
    #[serde(borrow, default, deserialize_with = "grant_of")]
    pub grant: Option<GrantFacts<'a>>,
    /// There when a person granted it, in the place of a check that was referred.
    #[serde(borrow)]
    pub resolves: Option<Text<'a>>,
    #[serde(borrow)]
    pub max_wait: Option<Text<'a>>,
    /// The uses of limits that the end of a grant gave back.
    #[serde(borrow, default)]
    pub returned: Vec<ReturnFacts<'a>>,
    /// There when a door reported a redemption late: when it says it was.
    pub redeemed_at: Option<Timestamp>,
    /// There when the key that granted it undid it.
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
    /// There when a desk granted it by hand: why.
    #[serde(borrow)]
    pub override_reason: Option<Text<'a>>,
    /// There when it was for pay.
    pub paid: Option<IgnoredAny>,
    /// How its grant had ended by then.
    #[serde(borrow)]
    pub meanwhile: Option<Text<'a>>,
}

/// The guests of a grant, as far as they are billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct GuestFacts {
    pub free: u64,
    pub charged: u64,
}

/// A party as it was corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct PartyFacts {
    pub party: u64,
    pub guests: Option<GuestFacts>,
}

/// The grant of a check; what a person decided names one by its id alone, which says nothing more.
fn grant_of<'de: 'a, 'a, D: Deserializer<'de>>(reader: D) -> Result<Option<GrantFacts<'a>>, D::Error> {
    let raw = Option::<&'de RawValue>::deserialize(reader)?.map(RawValue::get);
    raw.filter(|text| text.starts_with('{')).map(serde_json::from_str).transpose().map_err(D::Error::custom)
}

#[derive(Deserialize)]
pub(super) struct ReasonFacts<'a> {
    #[serde(borrow)]
    pub code: Text<'a>,
    #[serde(borrow)]
    pub limit: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct LimitFacts<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    pub cost: u64,
    /// Corrections only.
    pub was_cost: Option<u64>,
    pub max: u64,
    pub used: u64,
}

#[derive(Deserialize)]
pub(super) struct ReturnFacts<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    pub cost: u64,
}

#[derive(Deserialize)]
pub(super) struct GrantFacts<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    pub expires_at: Timestamp,
}

/// The sealed part of a check, as far as it is counted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Personal {
    pub reasons: Vec<PersonalReason>,
    pub score: Option<PersonalScore>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PersonalReason {
    pub short_by: Option<Decimal>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PersonalScore {
    pub value: Decimal,
}

impl Facts<'_> {
    /// Tells whether it was refused for a score that is too low: then the gap is worth opening.
    pub(super) fn is_below(&self) -> bool {
        self.decision.as_deref() == Some("denied")
            && self.reasons.iter().any(|reason| &*reason.code == "score_below_threshold")
    }
}

impl Personal {
    /// The distance of the score below the lowest threshold that it missed.
    pub(super) fn gap(&self) -> Option<Decimal> {
        self.reasons.iter().filter_map(|reason| reason.short_by).min()
    }
}
