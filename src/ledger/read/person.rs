//! The data held on one person, for themselves: their events, opened, and what they used of limits.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::LedgerReader;
use super::browse::{self, BrowseError, EventFilter, LoggedEvent};
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::reason::Reason;
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{EventId, MerchantId};
use crate::foundation::json::Json;
use crate::foundation::subject::{Pseudonym, SubjectRef, SubjectRefs};
use crate::ledger::LedgerError;
use crate::ledger::entry::{Actor, EventDraft, LogOwner, NOBODY};
use crate::ledger::error::unreadable;
use crate::ledger::events::excerpt::Excerpt;
use crate::ledger::events::subjects::RecordRead;
use crate::ledger::events::{Nullable, StoredEvent, WrittenFacts};
use crate::ledger::store::people as rows;
use crate::ledger::store::{self, SubjectRow};
use crate::ledger::write::check;
use crate::ledger::write::subjects::{self, Subject};
use crate::rules::limit::may_count;

/// The kind of the event that says that a person's record was read.
pub const RECORD_READ: &str = "subject.record_read";

/// The most counters of one person that are listed.
const MOST_LIMITS: i64 = 1000;

/// A person as the merchant's log knows them.
#[derive(Debug, Clone)]
pub struct Person {
    pub pseudonym: Pseudonym,
    /// Their pseudonym in events about another form of their handle, if some were about both.
    pub former: Option<Pseudonym>,
    /// When the first check about them was made.
    pub since: jiff::Timestamp,
}

impl Person {
    /// The person of the rows that were found under these references.
    pub(crate) fn of(subject: &SubjectRefs, rows: &[SubjectRow]) -> Option<Self> {
        let row_of = |reference: SubjectRef| rows.iter().find(|row| row.subject_ref == reference.0);
        let mut found = subject.in_order().filter_map(row_of);
        let (row, former) = (found.next()?, found.next());
        let since = former.map_or(row.created_at, |former| former.created_at.min(row.created_at));
        Some(Self {
            pseudonym: Pseudonym::stored(&row.pseudonym),
            former: former.map(|former| Pseudonym::stored(&former.pseudonym)),
            since: from_micros(since),
        })
    }

    /// All that events call the person.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Pseudonym> {
        std::iter::once(&self.pseudonym).chain(&self.former)
    }
}

/// The use that a person has made of a limit whose window may still be open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitHeld {
    /// None for a limit that all the merchant's perks share.
    pub perk: Option<String>,
    pub limit: String,
    pub window: String,
    pub used: u64,
    pub last_used_at: jiff::Timestamp,
}

/// An event about the person, with what is sealed in it.
#[derive(Debug, Clone)]
pub struct PersonalEvent {
    pub event: LoggedEvent,
    /// None where nothing is personal.
    pub personal: Option<Json>,
    /// The exact reasons why it was decided as it was, if it is a check.
    pub reasons: Vec<Reason>,
}

/// Some of what is in the log about a person.
#[derive(Debug, Clone, Default)]
pub struct PersonalPage {
    pub events: Vec<PersonalEvent>,
    /// Where to go on; none when the log's end was reached.
    pub next: Option<String>,
}

/// Up to `most` events about the person behind `cursor`, oldest first, opened.
pub(crate) async fn events(
    reader: &LedgerReader,
    merchant: &MerchantId,
    person: &Person,
    cursor: Option<&str>,
    most: usize,
) -> Result<PersonalPage, BrowseError> {
    let filter = EventFilter { oldest_first: true, ..EventFilter::default() };
    let page = browse::page(reader, merchant, filter, Some(person), cursor, most).await?;
    let (keyring, merchant, person) = (reader.context.keyring.clone(), merchant.clone(), person.clone());
    let found = reader.context.database.read(move |conn| {
        let found = person.names().map(|name| subjects::find(conn, &keyring, &merchant, name.as_str()));
        found.collect::<Result<Vec<_>, DatabaseError>>()
    });
    let known: Vec<Subject> =
        found.await.map_err(LedgerError::from)?.into_iter().flatten().map(|(_, subject)| subject).collect();
    // Erased a moment ago: nothing can be opened, and nothing is theirs.
    if known.is_empty() {
        return Ok(PersonalPage::default());
    }
    let theirs = page.events.into_iter().filter_map(|event| {
        let name = match named(&event) {
            Ok(name) => name?,
            Err(error) => return Some(Err(error)),
        };
        let subject = known.iter().find(|subject| subject.pseudonym.as_str() == name)?;
        Some(open(event, subject))
    });
    Ok(PersonalPage { events: theirs.collect::<Result<_, _>>().map_err(LedgerError::from)?, next: page.next })
}

/// The event that says that what is held on a person was shown; by a name that is nobody's once they are erased.
pub(crate) fn record_read(merchant: &MerchantId, person: Option<&Person>, by: Actor) -> EventDraft {
    let pseudonym = person.map(|person| person.pseudonym.as_str());
    EventDraft {
        log: LogOwner::Merchant(merchant.clone()),
        kind: RECORD_READ,
        about: pseudonym.unwrap_or(NOBODY).to_owned(),
        actor: by,
        facts: WrittenFacts::of(&RecordRead { subject: Nullable::text(pseudonym) }),
        personal: None,
    }
}

/// The person's use of limits whose windows may still be open, under each of their names.
pub(crate) fn limits(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    person: &Person,
    now: jiff::Timestamp,
) -> Result<Vec<LimitHeld>, DatabaseError> {
    let mut held = Vec::new();
    for pseudonym in person.names() {
        held.extend(limits_of(conn, merchant, pseudonym, now)?);
    }
    Ok(held)
}

pub(crate) fn find_person(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRefs,
) -> Result<Option<Person>, DatabaseError> {
    let references: Vec<SubjectRef> = subject.in_order().collect();
    let wanted: Vec<(&str, &[u8])> =
        references.iter().map(|reference| (merchant.as_str(), reference.0.as_slice())).collect();
    Ok(Person::of(subject, &store::list_subjects(conn, &wanted)?))
}

pub(crate) fn limits_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    pseudonym: &Pseudonym,
    now: jiff::Timestamp,
) -> Result<Vec<LimitHeld>, DatabaseError> {
    let mut held = Vec::new();
    for (row, perk) in rows::list_counters_of(conn, merchant, pseudonym.as_str(), MOST_LIMITS)? {
        let last_used_at = from_micros(row.last_used_at);
        if may_count(&row.window_key, last_used_at, now) {
            let used = u64::try_from(row.used).map_err(|e| DatabaseError::corrupt("limit counter", e))?;
            held.push(LimitHeld { perk, limit: row.limit_id, window: row.window_key, used, last_used_at });
        }
    }
    Ok(held)
}

/// The pseudonym of the person whom an event names, if it names one.
fn named(event: &LoggedEvent) -> Result<Option<String>, DatabaseError> {
    let excerpt = event.body.as_deref().map(Excerpt::of).transpose();
    let excerpt = excerpt.map_err(|error| unreadable(&event.id, error))?;
    Ok(excerpt.and_then(|excerpt| excerpt.facts.subject).map(Cow::into_owned))
}

/// The reasons of a check, among all else that is sealed.
#[derive(Deserialize)]
struct SealedReasons {
    #[serde(default)]
    reasons: Vec<Reason>,
}

fn open(event: LoggedEvent, subject: &Subject) -> Result<PersonalEvent, DatabaseError> {
    let stored = event.body.as_deref().map(StoredEvent::<IgnoredAny>::from_body).transpose();
    let sealed = stored.map_err(|error| unreadable(&event.id, error))?.and_then(|stored| stored.sealed);
    let Some(sealed) = sealed else { return Ok(PersonalEvent { event, personal: None, reasons: Vec::new() }) };
    let id: EventId = event.id.parse().map_err(|e| DatabaseError::corrupt("event id", e))?;
    let plain = check::unseal(&id, &sealed, subject)?;
    let corrupt = |error: serde_json::Error| DatabaseError::corrupt("sealed event", error);
    let personal: Json = serde_json::from_slice(&plain).map_err(corrupt)?;
    let SealedReasons { reasons } = serde_json::from_slice(&plain).map_err(corrupt)?;
    Ok(PersonalEvent { event, personal: Some(personal), reasons })
}
