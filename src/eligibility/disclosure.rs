//! The answers about one person, as both doors write them: what is held, and what an erasure did. The API's document
//! describes their members in `http/v1/subjects.rs`.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::subject_access::{ExplainedEvent, HeldOnPerson, PersonalRecord};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::foundation::json::Json;
use crate::foundation::subject::{Pseudonym, SubjectHandle};
use crate::ledger::read::person::LimitHeld;
use crate::ledger::retention::erasure::{Erased, Forgotten};
use crate::scores::attributes::AttributeHeld;
use crate::scores::enrolment::Consents;
use crate::scores::enrolment::account::LinkedAccount;
use crate::scores::erasing::ScoreHeld;
use crate::scores::history::Stretch;
use crate::scores::signals::SignalHeld;
use crate::scoring::observation::date_of;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<u64>,
    /// Accounts that were linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signals: Option<u64>,
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
    /// The values that stood before, of 400 days; none where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_history: Option<Vec<DisclosedStretch>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub klout_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Vec<DisclosedAttribute>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<DisclosedAccount>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consents: Option<Consents>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signals: Option<Vec<DisclosedSignals>>,
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

/// A value that a score had, and the UTC days at whose end it stood.
#[derive(Debug, Serialize)]
pub struct DisclosedStretch {
    pub source: SourceName,
    pub value: Decimal,
    pub first_day: Date,
    pub last_day: Date,
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

/// An account that is linked.
#[derive(Debug, Serialize)]
pub struct DisclosedAccount {
    pub network: String,
    pub account: String,
    pub state: &'static str,
    pub linked_at: Timestamp,
}

/// The signals of one name that are held. Of others and of objects only keyed hashes are kept, which nobody can show.
#[derive(Debug, Serialize)]
pub struct DisclosedSignals {
    pub network: String,
    pub signal: String,
    pub number: u64,
    /// UTC days.
    pub first_day: Date,
    pub last_day: Date,
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
        let of_some = held.as_ref().map(|held| &held.attributes).filter(|attributes| !attributes.is_empty());
        let attributes = of_some.map(|attributes| attributes.iter().map(DisclosedAttribute::from).collect());
        let enrolment = held.as_ref().and_then(|held| held.enrolment.as_ref());
        let accounts = enrolment.map(|it| it.accounts.iter().map(DisclosedAccount::from).collect());
        let consents = enrolment.map(|it| it.consents);
        let of_some = held.as_ref().map(|held| &held.signals).filter(|signals| !signals.is_empty());
        let signals = of_some.map(|signals| signals.iter().map(DisclosedSignals::from).collect());
        let of_some = held.as_ref().map(|held| &held.score_history).filter(|history| !history.is_empty());
        let score_history = of_some.map(|history| history.iter().map(DisclosedStretch::from).collect());
        let klout_id = held.as_ref().and_then(|held| held.klout_id).map(|id| id.to_string());
        let (scores, limits) = held.map(|HeldOnPerson { scores, limits, .. }| (scores, limits)).unzip();
        let record = Self {
            subject: subject.as_str().to_owned(),
            pseudonym: person.as_ref().map(|person| name(&person.pseudonym)),
            former_pseudonym: person.as_ref().and_then(|person| person.former.as_ref()).map(name),
            since: person.map(|person| person.since),
            scores: scores.map(|scores| scores.into_iter().map(DisclosedScore::from).collect()),
            score_history,
            klout_id,
            attributes,
            accounts,
            consents,
            signals,
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
            attributes: (forgotten.attributes > 0).then_some(forgotten.attributes),
            accounts: (forgotten.accounts > 0).then_some(forgotten.accounts),
            signals: (forgotten.signals > 0).then_some(forgotten.signals),
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

impl From<&(SourceName, Stretch)> for DisclosedStretch {
    fn from((source, stretch): &(SourceName, Stretch)) -> Self {
        let Stretch { first_day, last_day, value } = *stretch;
        Self { source: source.clone(), value, first_day: date_of(first_day), last_day: date_of(last_day) }
    }
}

impl From<&LinkedAccount> for DisclosedAccount {
    fn from(linked: &LinkedAccount) -> Self {
        let LinkedAccount { network, account, state, linked_at, .. } = linked;
        Self { network: network.clone(), account: account.clone(), state: state.as_str(), linked_at: *linked_at }
    }
}

impl From<&SignalHeld> for DisclosedSignals {
    fn from(held: &SignalHeld) -> Self {
        let SignalHeld { network, signal, number, first_day, last_day } = held;
        let (first_day, last_day) = (date_of(*first_day), date_of(*last_day));
        Self { network: network.clone(), signal: signal.clone(), number: *number, first_day, last_day }
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
