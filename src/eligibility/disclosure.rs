//! The answers about one person, as both doors write them: what is held, and what an erasure did. The API's document
//! describes their members in `http/v1/subjects.rs`.

use jiff::Timestamp;
use serde::Serialize;

use super::subject_access::{ExplainedEvent, HeldOnPerson, PersonalRecord};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::foundation::json::Json;
use crate::foundation::subject::{Pseudonym, SubjectHandle};
use crate::ledger::read::person::LimitHeld;
use crate::ledger::retention::erasure::{Erased, Forgotten};
use crate::scores::attributes::AttributeHeld;
use crate::scores::erasing::ScoreHeld;

/// The result of an erasure. It doesn't repeat who it was.
#[derive(Debug, Serialize)]
pub struct ErasureOutcome {
    /// False when nothing was held.
    pub erased: bool,
    pub pseudonym: Option<String>,
    /// The pseudonym of events about an earlier spelling of the handle, where there are both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former_pseudonym: Option<String>,
    pub scores: u64,
    pub attributes: u64,
    pub referrals_closed: u64,
    pub limits_restarted: Vec<DisclosedLimit>,
    pub purged: bool,
}

/// A part of the record of a person: what stands, with the first part; and what happened, oldest first.
#[derive(Debug, Serialize)]
pub struct DisclosedRecord {
    /// As it was normalised.
    pub subject: String,
    pub pseudonym: Option<String>,
    /// The pseudonym of events about an earlier spelling of the handle, where there are both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former_pseudonym: Option<String>,
    pub since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<DisclosedScore>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Vec<DisclosedAttribute>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<DisclosedLimit>>,
    /// Before when events may be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned_before: Option<Timestamp>,
    pub events: Vec<DisclosedEvent>,
}

/// The use that a person has made of a limit.
#[derive(Debug, Serialize)]
pub struct DisclosedLimit {
    /// None for a limit that all perks share.
    pub perk: Option<String>,
    pub limit: String,
    pub window: String,
    pub used: u64,
    pub last_used_at: Timestamp,
}

/// A score that stands.
#[derive(Debug, Serialize)]
pub struct DisclosedScore {
    pub source: SourceName,
    pub value: Decimal,
    pub observed_at: Timestamp,
    pub recorded_at: Timestamp,
}

/// An attribute that is kept.
#[derive(Debug, Serialize)]
pub struct DisclosedAttribute {
    pub attribute: String,
    pub value: Json,
    /// None where it has no end.
    pub valid_until: Option<Timestamp>,
    pub recorded_at: Timestamp,
}

/// Something that happened: a check, a redemption, a decision by a person.
#[derive(Debug, Serialize)]
pub struct DisclosedEvent {
    pub kind: String,
    pub at: Timestamp,
    pub about: String,
    pub facts: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal: Option<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub explanation: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would_have_changed: Vec<String>,
    pub index: i64,
    pub event: String,
}

fn name(pseudonym: &Pseudonym) -> String {
    pseudonym.as_str().to_owned()
}

impl DisclosedRecord {
    /// A part of the person's record, and where to go on.
    #[must_use]
    pub fn of(subject: &SubjectHandle, part: PersonalRecord) -> (Self, Option<String>) {
        let PersonalRecord { person, held, events, next } = part;
        let pruned_before = held.as_ref().and_then(|held| held.pruned_before);
        let attributes = held.as_ref().map(|held| held.attributes.iter().map(DisclosedAttribute::from).collect());
        let (scores, limits) = held.map(|HeldOnPerson { scores, limits, .. }| (scores, limits)).unzip();
        let record = Self {
            subject: subject.as_str().to_owned(),
            pseudonym: person.as_ref().map(|person| name(&person.pseudonym)),
            former_pseudonym: person.as_ref().and_then(|person| person.former.as_ref()).map(name),
            since: person.map(|person| person.since),
            scores: scores.map(|scores| scores.into_iter().map(DisclosedScore::from).collect()),
            attributes,
            limits: limits.map(|limits| limits.into_iter().map(DisclosedLimit::from).collect()),
            pruned_before,
            events: events.into_iter().map(DisclosedEvent::from).collect(),
        };
        (record, next)
    }
}

impl From<Option<Erased>> for ErasureOutcome {
    fn from(erased: Option<Erased>) -> Self {
        let nothing = Erased {
            pseudonym: None,
            former: None,
            forgotten: Forgotten::default(),
            referrals: 0,
            limits: Vec::new(),
            is_purged: true,
        };
        let is_known = erased.is_some();
        let Erased { pseudonym, former, forgotten, referrals, limits, is_purged } = erased.unwrap_or(nothing);
        Self {
            erased: is_known,
            pseudonym: pseudonym.as_ref().map(name),
            former_pseudonym: former.as_ref().map(name),
            scores: forgotten.scores,
            attributes: forgotten.attributes,
            referrals_closed: referrals,
            limits_restarted: limits.into_iter().map(DisclosedLimit::from).collect(),
            purged: is_purged,
        }
    }
}

impl From<LimitHeld> for DisclosedLimit {
    fn from(held: LimitHeld) -> Self {
        let LimitHeld { perk, limit, window, used, last_used_at } = held;
        Self { perk, limit, window, used, last_used_at }
    }
}

impl From<ScoreHeld> for DisclosedScore {
    fn from(held: ScoreHeld) -> Self {
        let ScoreHeld { source, score, recorded_at } = held;
        Self { source, value: score.value, observed_at: score.observed_at, recorded_at }
    }
}

impl From<&AttributeHeld> for DisclosedAttribute {
    fn from(held: &AttributeHeld) -> Self {
        let AttributeHeld { name, value } = held;
        Self {
            attribute: name.clone(),
            value: value.value.clone(),
            valid_until: value.ends(),
            recorded_at: value.recorded(),
        }
    }
}

impl From<ExplainedEvent> for DisclosedEvent {
    fn from(explained: ExplainedEvent) -> Self {
        let ExplainedEvent { event, explanation, would_have_changed } = explained;
        let (event, personal) = (event.event, event.personal);
        Self {
            kind: event.kind,
            at: event.at,
            about: event.about,
            facts: event.facts,
            personal,
            explanation,
            would_have_changed,
            index: event.index,
            event: event.id,
        }
    }
}
