//! Everything that is held on one person, put together for that person (GDPR art. 15).

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::checker::Checker;
use crate::access::Merchant;
use crate::database::DatabaseError;
use crate::decision::reason::Reason;
use crate::decision::remedy::remedy;
use crate::foundation::ids::{PerkSlug, SourceName};
use crate::foundation::subject::SubjectHandle;
use crate::keyring::Keyring;
use crate::ledger::entry::Actor;
use crate::ledger::read::browse::BrowseError;
use crate::ledger::read::person::{LimitHeld, Person, PersonalEvent};
use crate::ledger::{Ledger, LedgerError};
use crate::perks::catalog::Catalog;
use crate::perks::error::PerkError;
use crate::scores::attributes::AttributeHeld;
use crate::scores::enrolment::{Enrolment, EnrolmentError};
use crate::scores::erasing::ScoreHeld;
use crate::scores::history::Stretch;
use crate::scores::signals::SignalHeld;
use crate::scores::{Enrolments, ScoreError, Scores};

/// Tells people what is held on them; cheap to clone.
#[derive(Clone)]
pub struct SubjectAccess {
    catalog: Catalog,
    scores: Scores,
    enrolments: Arc<Enrolments>,
    ledger: Ledger,
    keyring: Keyring,
}

/// A part of what is held on a person.
#[derive(Debug, Clone)]
pub struct PersonalRecord {
    /// None when no event is about them.
    pub person: Option<Person>,
    /// With the first part only.
    pub held: Option<HeldOnPerson>,
    pub events: Vec<ExplainedEvent>,
    /// Where to go on.
    pub next: Option<String>,
}

/// The state that is held on the person now, beside what happened.
#[derive(Debug, Clone)]
pub struct HeldOnPerson {
    pub scores: Vec<ScoreHeld>,
    /// The values that stood before, the earliest of a source first.
    pub score_history: Vec<(SourceName, Stretch)>,
    /// The number by which clients of Klout's API know them, if they have one.
    pub klout_id: Option<i64>,
    pub attributes: Vec<AttributeHeld>,
    pub limits: Vec<LimitHeld>,
    /// None where they are not enrolled.
    pub enrolment: Option<Enrolment>,
    pub signals: Vec<SignalHeld>,
    /// The instant before which events were pruned, which tell of nobody any more.
    pub pruned_before: Option<Timestamp>,
}

/// Something that happened, and of a check why.
#[derive(Debug, Clone)]
pub struct ExplainedEvent {
    pub event: PersonalEvent,
    /// The reasons as sentences, with the person's own values.
    pub explanation: Vec<String>,
    /// The changes that would have led to another outcome, reason by reason.
    pub would_have_changed: Vec<String>,
}

/// Why nothing was disclosed.
#[derive(Debug, thiserror::Error)]
pub enum DisclosureError {
    #[error(transparent)]
    Score(#[from] ScoreError),
    #[error(transparent)]
    Perk(#[from] PerkError),
    #[error(transparent)]
    Browse(#[from] BrowseError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<EnrolmentError> for DisclosureError {
    fn from(error: EnrolmentError) -> Self {
        match error {
            EnrolmentError::Ledger(error) => error.into(),
            EnrolmentError::Database(error) => LedgerError::from(&error).into(),
            // To look says neither.
            EnrolmentError::NotEnrolled | EnrolmentError::Unfit(_) => {
                LedgerError::from(&DatabaseError::NotFound).into()
            }
        }
    }
}

impl SubjectAccess {
    /// One that tells of what `checker` decides.
    #[must_use]
    pub fn beside(checker: &Checker, enrolments: Arc<Enrolments>) -> Self {
        let Checker { catalog, scores, ledger, keyring, .. } = checker.clone();
        Self { catalog, scores, enrolments, ledger, keyring }
    }

    /// The record held on the person, with up to `most` events behind `cursor`, oldest first. That it was
    /// shown is recorded with the first part, by `by`. A part may have few events or none and still not be
    /// the last.
    ///
    /// # Errors
    /// [`DisclosureError`].
    pub async fn record(
        &self,
        merchant: &Merchant,
        by: Actor,
        handle: &SubjectHandle,
        cursor: Option<&str>,
        most: usize,
    ) -> Result<PersonalRecord, DisclosureError> {
        let person = self.ledger.reader().find_person(&merchant.id, handle).await?;
        let held = if cursor.is_some() {
            None
        } else {
            self.ledger.record_read(&merchant.id, person.as_ref(), by).await?;
            let references = self.keyring.subject_refs(&merchant.id, handle);
            let limits = match &person {
                Some(person) => self.ledger.reader().limits_of(&merchant.id, person).await?,
                None => Vec::new(),
            };
            let pruned_before = self.ledger.reader().pruned_before(&merchant.id).await?;
            let attributes = self.scores.attributes().held_on(&merchant.id, references).await?;
            let scores = self.scores.held_on(&merchant.id, references).await?;
            let score_history = self.scores.history_held_on(&merchant.id, references).await?;
            let klout_id = self.scores.klout_id_of(&merchant.id, references).await?;
            let enrolment = self.enrolments.find(&merchant.id, handle).await?;
            let signals = self.enrolments.signals_of(&merchant.id, references).await?;
            Some(HeldOnPerson {
                scores,
                score_history,
                klout_id,
                attributes,
                limits,
                enrolment,
                signals,
                pruned_before,
            })
        };
        let Some(person) = person else {
            if cursor.is_some() {
                // There never was a page that it could be of.
                return Err(BrowseError::Cursor.into());
            }
            return Ok(PersonalRecord { person: None, held, events: Vec::new(), next: None });
        };
        let page = self.ledger.reader().personal_events(&merchant.id, &person, cursor, most).await?;
        let (mut zones, mut events) = (HashMap::new(), Vec::with_capacity(page.events.len()));
        for event in page.events {
            events.push(self.explained(merchant, event, &mut zones).await?);
        }
        Ok(PersonalRecord { person: Some(person), held, events, next: page.next })
    }

    async fn explained(
        &self,
        merchant: &Merchant,
        event: PersonalEvent,
        zones: &mut HashMap<(String, i32), TimeZone>,
    ) -> Result<ExplainedEvent, DisclosureError> {
        let explanation = event.reasons.iter().map(Reason::message).collect();
        let mut would_have_changed = Vec::new();
        if !event.reasons.is_empty() {
            let key = event.event.rule_of_check()?.unwrap_or_default();
            let zone = match zones.get(&key) {
                Some(zone) => zone.clone(),
                None => self.zone_of(merchant, &key.0, key.1).await?,
            };
            would_have_changed = event.reasons.iter().filter_map(|reason| remedy(reason, &zone)).collect();
            zones.insert(key, zone);
        }
        Ok(ExplainedEvent { event, explanation, would_have_changed })
    }

    /// The zone of the rule that decided.
    async fn zone_of(&self, merchant: &Merchant, perk: &str, version: i32) -> Result<TimeZone, DisclosureError> {
        let corrupt = |detail: String| PerkError::from(DatabaseError::Corrupt { what: "rule", detail });
        let slug: PerkSlug = perk.parse().map_err(|_| corrupt(perk.to_owned()))?;
        let version = match self.catalog.find_version(&merchant.id, &slug, version).await {
            Ok(version) => version,
            // A version that decided is never deleted; if it is missing all the same, the hour is given in UTC.
            Err(PerkError::NotFound(_) | PerkError::VersionNotFound { .. }) => return Ok(TimeZone::UTC),
            Err(error) => return Err(error.into()),
        };
        Ok(version.read(&slug)?.time_zone().clone())
    }
}
