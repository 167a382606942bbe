//! Why a check was decided as it was: a stable code, its facts, and a sentence to read out.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::foundation::decimal::Decimal;
use crate::rules::attribute::{BOARDING_PASS, OCCUPANCY, ValueType};
use crate::rules::limit::LimitClaim;
use crate::rules::overrides::{OVERRIDE, PAID};
use crate::rules::tier::Tier;
use crate::rules::tier::party::Party;

/// The gap that roles without scores may see, in whole points.
const WIDEST_SHOWN_GAP: i64 = 10;

/// The kind of a reason. Never renamed: clients and audit records rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReasonCode {
    ScoreMet,
    ScoreBelowThreshold,
    ScoreMissing,
    ScoreStale,
    AttributeMissing,
    AttributeMistyped,
    ConditionNotMet,
    OutsideSchedule,
    NotYetValid,
    NoLongerValid,
    PerkPaused,
    LimitReached,
    NotInRollout,
    GrantedByPerson,
    Blackout,
    TooEarly,
    TooLate,
    PassDate,
    GuestsExceeded,
    PlaceClosed,
    OverrideExhausted,
    /// A value that is kept of the person is past its end, or older than it may be.
    AttributeStale,
    /// One that a newer build gave.
    Other(OtherCode),
}

/// The code of a reason that this build doesn't know, as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OtherCode {
    bytes: [u8; OtherCode::MOST],
    length: usize,
}

impl OtherCode {
    /// Number of characters that are kept of one.
    const MOST: usize = 40;

    fn of(code: &str) -> Self {
        let mut bytes = [0; Self::MOST];
        let plain = code.bytes().filter(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let length = bytes.iter_mut().zip(plain).map(|(to, from)| *to = from).count();
        Self { bytes, length }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes.get(..self.length).unwrap_or_default()).unwrap_or_default()
    }
}

impl fmt::Debug for OtherCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ReasonCode {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.written())
    }
}

impl<'de> Deserialize<'de> for ReasonCode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let code = Cow::<'de, str>::deserialize(from)?;
        Ok(Self::stored(&code))
    }
}

impl ReasonCode {
    /// Every code that is known here, in the order they were made.
    pub const ALL: [Self; 22] = [
        Self::ScoreMet,
        Self::ScoreBelowThreshold,
        Self::ScoreMissing,
        Self::ScoreStale,
        Self::AttributeMissing,
        Self::AttributeMistyped,
        Self::ConditionNotMet,
        Self::OutsideSchedule,
        Self::NotYetValid,
        Self::NoLongerValid,
        Self::PerkPaused,
        Self::LimitReached,
        Self::NotInRollout,
        Self::GrantedByPerson,
        Self::Blackout,
        Self::TooEarly,
        Self::TooLate,
        Self::PassDate,
        Self::GuestsExceeded,
        Self::PlaceClosed,
        Self::OverrideExhausted,
        Self::AttributeStale,
    ];

    /// The reason of this code, if it is one of ours.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == code)
    }

    /// The code that a build wrote, perhaps a newer one.
    #[must_use]
    pub fn stored(code: &str) -> Self {
        // Its name while it was new: events may hold it.
        let code = if code == "too_many_guests" { Self::GuestsExceeded.as_str() } else { code };
        Self::parse(code).unwrap_or_else(|| Self::Other(OtherCode::of(code)))
    }

    /// The code as it is written, whichever build gave it.
    #[must_use]
    pub fn written(&self) -> &str {
        match self {
            Self::Other(other) => other.as_str(),
            known => known.as_str(),
        }
    }

    /// Tells whether it says that it is the day or the hour that is wrong for what a tier or the rule asks.
    pub(super) const fn is_of_time(self) -> bool {
        matches!(self, Self::TooEarly | Self::TooLate | Self::PassDate)
    }

    /// The code as the API writes it; `other` for all that only newer builds know.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScoreMet => "score_met",
            Self::ScoreBelowThreshold => "score_below_threshold",
            Self::ScoreMissing => "score_missing",
            Self::ScoreStale => "score_stale",
            Self::AttributeMissing => "attribute_missing",
            Self::AttributeMistyped => "attribute_mistyped",
            Self::ConditionNotMet => "condition_not_met",
            Self::OutsideSchedule => "outside_schedule",
            Self::NotYetValid => "not_yet_valid",
            Self::NoLongerValid => "no_longer_valid",
            Self::PerkPaused => "perk_paused",
            Self::LimitReached => "limit_reached",
            Self::NotInRollout => "not_in_rollout",
            Self::GrantedByPerson => "granted_by_person",
            Self::Blackout => "blackout",
            Self::TooEarly => "too_early",
            Self::TooLate => "too_late",
            Self::PassDate => "pass_date",
            Self::GuestsExceeded => "guests_exceeded",
            Self::PlaceClosed => "place_closed",
            Self::OverrideExhausted => "override_exhausted",
            Self::AttributeStale => "attribute_stale",
            Self::Other(_) => "other",
        }
    }
}

/// One reason. JSON only: decimals are read from their digits. Of one that a newer build wrote, members that aren't known
/// here are passed over: the check must remain readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: ReasonCode,
    /// The id of the tier it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The name of that tier, for the sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier_name: Option<String>,
    /// The least score that was asked for; more than 40 is 40.001.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Decimal>,
    /// Number of points that the score is below `wanted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_by: Option<Decimal>,
    /// The attribute that is missing, of the wrong type, or not as it must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// The type of value that the rule tests for, where another was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted_type: Option<ValueType>,
    /// The type of the value that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_type: Option<ValueType>,
    /// The id of the limit that has no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// The most that the limit admits at once, or the guests that may be brought, where more came: no wait helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
    /// Number of guests by whom the party is too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_by: Option<u64>,
    /// The id of the blackout that is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blackout: Option<String>,
    /// The id of the closure of the place: its words are the guest's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<String>,
    /// When time lifts this reason. Others may then stand: the decision's own `next_eligible_at` says
    /// whether waiting is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_eligible_at: Option<Timestamp>,
}

impl Reason {
    /// A reason without any facts.
    #[must_use]
    pub const fn new(code: ReasonCode) -> Self {
        Self {
            code,
            tier: None,
            tier_name: None,
            wanted: None,
            short_by: None,
            attribute: None,
            wanted_type: None,
            given_type: None,
            limit: None,
            at_most: None,
            over_by: None,
            blackout: None,
            closure: None,
            next_eligible_at: None,
        }
    }

    /// A limit without room for the claim, and when it has room, if waiting helps: a claim that never fits waits for
    /// nothing.
    #[must_use]
    pub fn limit_reached(claim: &LimitClaim, room_at: Option<Timestamp>) -> Self {
        let at_most = claim.never_fits().then_some(claim.max);
        Self {
            limit: Some(claim.limit.clone()),
            at_most,
            next_eligible_at: room_at.filter(|_| at_most.is_none()),
            ..Self::new(match claim.limit.as_str() {
                OVERRIDE | PAID => ReasonCode::OverrideExhausted,
                _ => ReasonCode::LimitReached,
            })
        }
    }

    /// The guests by whom a party is too large for a tier, if it is.
    #[must_use]
    pub fn guests_exceeded(tier: &Tier, party: &Party) -> Option<Self> {
        let (over_by, max) = (tier.over_by(party)?, tier.guests?.max);
        Some(Self {
            tier: Some(tier.id.clone()),
            tier_name: Some(tier.name.clone()),
            at_most: Some(max),
            over_by: Some(over_by),
            ..Self::new(ReasonCode::GuestsExceeded)
        })
    }

    /// The reason as those may see it who may not see scores: the gap in whole points, rounded up,
    /// and not at all above 10, so that no score can be worked out from it.
    #[must_use]
    pub fn for_roles_without_scores(&self) -> Self {
        let points = self.short_by.map(Decimal::rounded_up).filter(|points| *points <= WIDEST_SHOWN_GAP);
        Self { short_by: points.map(Decimal::from_whole), ..self.clone() }
    }

    /// The reason without its gap: of a question that isn't recorded, anybody could ask as many as it takes to read
    /// a score from the gaps of several perks.
    #[must_use]
    pub fn without_gap(&self) -> Self {
        Self { short_by: None, ..self.clone() }
    }

    /// A sentence to read out. It says no more than the fields do.
    #[must_use]
    pub fn message(&self) -> String {
        let tier = self.tier_name.as_deref().or(self.tier.as_deref());
        let asks = |what: &str| match tier {
            Some(tier) => format!("{what} that {tier} asks for"),
            None => format!("{what} that is asked for"),
        };
        let attribute = self.attribute.as_deref().map_or("something", in_words);
        match self.code {
            ReasonCode::ScoreMet => match self.wanted {
                Some(wanted) => format!("The score meets {}.", asks(&format!("the {wanted}"))),
                None => format!("The score meets {}.", asks("what")),
            },
            ReasonCode::ScoreBelowThreshold => {
                let wanted = self.wanted.map_or_else(|| "the score".to_owned(), |wanted| format!("the {wanted}"));
                match self.short_by {
                    Some(gap) => format!("The score is {} short of {}.", points(gap), asks(&wanted)),
                    None => format!("The score is below {}.", asks(&wanted)),
                }
            }
            ReasonCode::ScoreMissing => "There is no score for this person.".into(),
            ReasonCode::ScoreStale => "The score is too old to rely on.".into(),
            ReasonCode::AttributeMissing => match tier {
                Some(tier) => format!("Whether {tier} is open to this person can't be told without {attribute}."),
                None => format!("This can't be decided without {attribute}."),
            },
            ReasonCode::AttributeStale => match tier {
                Some(tier) => {
                    format!("Whether {tier} is open to this person can't be told: {attribute} is known no longer.")
                }
                None => format!("This can't be decided: {attribute} is known no longer."),
            },
            ReasonCode::AttributeMistyped => {
                let types = self.wanted_type.zip(self.given_type);
                let fault = match types {
                    Some((wanted, given)) => {
                        format!("{attribute} must be {}, and is {}", wanted.describe(), given.describe())
                    }
                    None => format!("{attribute} is of another type than the rule asks for"),
                };
                match tier {
                    Some(tier) => format!("Whether {tier} is open to this person can't be told: {fault}."),
                    None => format!("This can't be decided: {fault}."),
                }
            }
            ReasonCode::ConditionNotMet => match tier {
                Some(tier) => format!("What {tier} asks of {attribute} is not met."),
                None => format!("What is asked of {attribute} is not met."),
            },
            ReasonCode::OutsideSchedule => "This perk is closed at this hour.".into(),
            ReasonCode::NotYetValid => "This perk has not begun yet.".into(),
            ReasonCode::NoLongerValid => "This perk has ended.".into(),
            ReasonCode::PerkPaused => "This perk is paused.".into(),
            ReasonCode::PlaceClosed => "This place is closed at the moment.".into(),
            ReasonCode::OverrideExhausted if self.limit.as_deref() == Some(PAID) => {
                "The paid entries of this time are used up.".into()
            }
            ReasonCode::OverrideExhausted => "The overrides of this time are used up.".into(),
            ReasonCode::LimitReached => match (&self.limit, self.at_most) {
                (Some(limit), Some(most)) => format!("The limit {limit} admits at most {most} at once."),
                (Some(limit), None) => format!("The limit {limit} has no room left for this."),
                (None, _) => "A limit has no room left for this.".into(),
            },
            ReasonCode::NotInRollout => "This perk is not open to everyone yet.".into(),
            ReasonCode::GrantedByPerson => match tier {
                Some(tier) => format!("A person decided to grant {tier}."),
                None => "A person decided to grant this.".into(),
            },
            ReasonCode::Blackout => "This perk is not offered on these dates.".into(),
            ReasonCode::TooEarly => format!("It is too early for {}.", tier.unwrap_or("this perk")),
            ReasonCode::TooLate => format!("It is too late for {}.", tier.unwrap_or("this perk")),
            ReasonCode::PassDate => match tier {
                Some(tier) => format!("The boarding pass is for another day than {tier} asks for."),
                None => "The boarding pass is for another day.".into(),
            },
            ReasonCode::GuestsExceeded => {
                let whom = tier.map_or_else(|| "This perk admits".to_owned(), |tier| format!("{tier} admits"));
                match (self.at_most, self.over_by) {
                    (Some(most), Some(over)) => {
                        format!("{whom} at most {}, and {over} too many came.", guests(most))
                    }
                    (Some(most), None) => format!("{whom} at most {}.", guests(most)),
                    (None, _) => format!("{whom} fewer guests than came."),
                }
            }
            ReasonCode::Other(code) => format!("A newer version of the gateway gives `{code:?}` as the reason."),
        }
    }
}

fn guests(number: u64) -> String {
    if number == 1 { "1 guest".into() } else { format!("{number} guests") }
}

/// An attribute in a sentence.
pub(super) fn in_words(attribute: &str) -> &str {
    match attribute {
        BOARDING_PASS => "a boarding pass",
        OCCUPANCY => "the number of guests inside",
        other => other,
    }
}

fn points(gap: Decimal) -> String {
    if gap == Decimal::from_whole(1) { "1 point".into() } else { format!("{gap} points") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(by: &str) -> Reason {
        Reason {
            tier: Some("main".into()),
            wanted: "40".parse().ok(),
            short_by: by.parse().ok(),
            ..Reason::new(ReasonCode::ScoreBelowThreshold)
        }
    }

    #[test]
    fn a_reason_reads_back_as_it_was_written() {
        let reason = short("2.75");
        let text = serde_json::to_string(&reason).unwrap();
        assert_eq!(text, r#"{"code":"score_below_threshold","tier":"main","wanted":40,"short_by":2.75}"#);
        assert_eq!(serde_json::from_str::<Reason>(&text).unwrap(), reason);
        let limit = Reason {
            limit: Some("person-day".into()),
            next_eligible_at: Some(Timestamp::UNIX_EPOCH),
            ..Reason::new(ReasonCode::LimitReached)
        };
        let text = serde_json::to_string(&limit).unwrap();
        assert_eq!(text, r#"{"code":"limit_reached","limit":"person-day","next_eligible_at":"1970-01-01T00:00:00Z"}"#);
        assert_eq!(serde_json::from_str::<Reason>(&text).unwrap(), limit);
    }

    #[test]
    fn every_code_is_written_as_it_is_named() {
        for code in ReasonCode::ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("{:?}", code.as_str()));
            let message = Reason::new(code).message();
            assert!(message.ends_with('.') && message.len() > 15, "{message}");
        }
    }

    #[test]
    fn what_a_newer_build_gave_is_kept_as_it_is() {
        let text = r#"{"code":"guests_refused","tier":"main","guests":3}"#;
        let reason: Reason = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&reason).unwrap(), r#"{"code":"guests_refused","tier":"main"}"#);
        assert_eq!((reason.code.as_str(), reason.code.written()), ("other", "guests_refused"));
        assert_eq!(reason.message(), "A newer version of the gateway gives `guests_refused` as the reason.");
        let long = ReasonCode::stored(&"é<x>".repeat(90));
        assert_eq!(long.written(), "x".repeat(OtherCode::MOST));
        assert_eq!(ReasonCode::stored("blackout"), ReasonCode::Blackout);
    }

    #[test]
    fn those_who_may_not_see_scores_get_whole_points_up_to_ten() {
        for (gap, seen, sentence) in [
            ("3", Some("3"), "The score is 3 points short of the 40 that main asks for."),
            ("0.001", Some("1"), "The score is 1 point short of the 40 that main asks for."),
            ("9.001", Some("10"), "The score is 10 points short of the 40 that main asks for."),
            ("10.001", None, "The score is below the 40 that main asks for."),
            ("39", None, "The score is below the 40 that main asks for."),
        ] {
            let reason = short(gap).for_roles_without_scores();
            assert_eq!(reason.short_by, seen.map(|points| points.parse().unwrap()), "{gap}");
            assert_eq!(reason.message(), sentence);
        }
        assert_eq!(short("2.75").message(), "The score is 2.75 points short of the 40 that main asks for.");
    }
}
