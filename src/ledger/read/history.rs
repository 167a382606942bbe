//! Reading the checks of the past and what became of them in the log's order, page by page. Nothing is locked and no page is
//! part of a longer transaction: a caller that reads a year of checks is in nobody's way.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::decisions::{self, PastEvent};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{MerchantId, PerkId};
use crate::foundation::subject::{Pseudonym, SubjectRef};
use crate::keyring::Keyring;
use crate::ledger::error::unreadable;
use crate::ledger::events::StoredEvent;
use crate::ledger::events::correction::GrantCorrected;
use crate::ledger::events::ending::GrantEnded;
use crate::ledger::events::excerpt::{Excerpt, member_of_unreadable};
use crate::ledger::events::occupancy::OccupancyCorrected;
use crate::ledger::events::redemption::TokenRedeemed;
use crate::ledger::grants::{correction, ending};
use crate::ledger::occupancy;
use crate::ledger::store::history::{self as rows, PlacedRow};
use crate::ledger::write::check::StoredCheck;
use crate::ledger::write::subjects::Subject;
use crate::ledger::write::{check, redemption};

/// Number of events that a page spans.
const PAGE: i64 = 500;

/// Replicas' clocks differ and batches wait, so the log is only nearly in the order of its instants.
const DISORDER_MICROS: i64 = 600 * 1_000_000;

/// A stretch of a merchant's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The first index.
    pub from: i64,
    /// The first index behind it.
    pub before: i64,
}

/// The part of the past that matters to the caller.
#[derive(Debug, Clone)]
pub struct Interest {
    pub perk: PerkId,
    /// The instant from which what is personal is opened; before it nobody asks.
    pub personal_from: Timestamp,
    /// Redemptions, releases and voids are read too: they move what grants use of limits.
    pub moves: bool,
    /// Other perks are read too.
    pub other_perks: bool,
    /// Only what names this person is read, where one is given.
    pub person: Option<Pseudonym>,
}

/// The events of a page.
#[derive(Debug, Default)]
pub struct HistoryPage {
    pub events: Vec<PastEvent>,
    /// The times of the checks whose bodies are pruned.
    pub pruned: Vec<Timestamp>,
    /// Where the next page begins.
    pub next: i64,
}

/// [`LedgerReader::stretch`](super::LedgerReader::stretch) of the merchant's log.
pub(crate) fn stretch(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    since: Option<Timestamp>,
    until: Timestamp,
) -> Result<Stretch, DatabaseError> {
    let Some((log, size)) = rows::find_log_size(conn, merchant)? else {
        return Ok(Stretch { from: 0, before: 0 });
    };
    stretch_of(conn, &log, size, since, until)
}

/// The stretch of a log of so many events.
///
/// # Errors
/// The database's.
pub fn stretch_of(
    conn: &mut AnyConnection,
    log: &str,
    size: i64,
    since: Option<Timestamp>,
    until: Timestamp,
) -> Result<Stretch, DatabaseError> {
    let until = until.as_microsecond().saturating_add(DISORDER_MICROS);
    let from = match since {
        None => 0,
        Some(since) => first_at(conn, log, size, since.as_microsecond().saturating_sub(DISORDER_MICROS))?,
    };
    Ok(Stretch { from, before: first_at(conn, log, size, until)? })
}

/// The first index whose event is not before `at`, as if the log were in the order of its instants.
fn first_at(conn: &mut AnyConnection, log: &str, size: i64, at: i64) -> Result<i64, DatabaseError> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        match rows::find_instant(conn, log, middle)? {
            Some(instant) if instant < at => low = middle + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// The events in one page of the stretch.
pub(crate) fn page(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    stretch: Stretch,
    interest: &Interest,
) -> Result<HistoryPage, DatabaseError> {
    let next = stretch.before.min(stretch.from.saturating_add(PAGE));
    let Some((log, _)) = rows::find_log_size(conn, merchant)? else {
        return Ok(HistoryPage { next, ..HistoryPage::default() });
    };
    let kinds = [
        check::KIND,
        redemption::KIND,
        redemption::OFFLINE,
        correction::CORRECTED,
        ending::RELEASED,
        ending::VOIDED,
        ending::FREED,
        occupancy::CORRECTED,
    ];
    let kinds = if interest.moves { kinds.as_slice() } else { &[check::KIND] };
    let mut pruned = Vec::new();
    let mut events = Vec::new();
    for row in rows::list_placed(conn, &log, kinds, stretch.from, next)? {
        if row.body.is_none() {
            pruned.extend((row.kind == check::KIND).then(|| from_micros(row.at)));
        }
        events.extend(found(&row, interest)?);
    }
    let wanted: BTreeSet<&str> = events.iter().filter_map(Found::opened).collect();
    let subjects = subjects_called(conn, keyring, merchant, &wanted)?;
    let read = events.into_iter().map(|event| event.read(&subjects)).collect::<Result<_, _>>()?;
    Ok(HistoryPage { events: read, pruned, next })
}

/// An event that matters to the caller.
enum Found {
    /// With what is personal, where it is asked for.
    Check(Box<StoredCheck>, bool),
    Redeemed(Box<StoredEvent<TokenRedeemed<'static>>>),
    Corrected(Box<StoredEvent<GrantCorrected<'static>>>),
    Ended(Box<StoredEvent<GrantEnded<'static>>>, bool),
    Occupied(Box<StoredEvent<OccupancyCorrected<'static>>>),
}

impl Found {
    /// The pseudonym of the person whose secret opens it, if it is to be opened.
    fn opened(&self) -> Option<&str> {
        match self {
            Self::Check(event, true) => Some(&event.facts.subject),
            _ => None,
        }
    }

    fn read(self, subjects: &HashMap<String, (SubjectRef, Subject)>) -> Result<PastEvent, DatabaseError> {
        Ok(match self {
            Self::Redeemed(event) => PastEvent::Redeemed(decisions::redemption(*event)),
            Self::Corrected(event) => PastEvent::Corrected(decisions::correction(*event)),
            Self::Occupied(event) => PastEvent::Occupied(decisions::occupancy(*event)),
            Self::Ended(event, is_void) => PastEvent::Ended(decisions::end(*event, is_void)),
            Self::Check(event, is_opened) => {
                let subject = subjects.get(event.facts.subject.as_ref()).filter(|_| is_opened);
                let check = decisions::read(&event, subject).map_err(|error| unreadable(&event.id, error))?;
                PastEvent::Check(Box::new(check))
            }
        })
    }
}

/// The event, if it matters and is not pruned. One that can't be read is an error unless it is certain that nobody asks
/// for it.
fn found(row: &PlacedRow, interest: &Interest) -> Result<Option<Found>, DatabaseError> {
    let Some(body) = row.body.as_deref() else { return Ok(None) };
    let (kind, at) = (row.kind.as_str(), from_micros(row.at));
    let excerpt = match Excerpt::of(body) {
        Ok(excerpt) => excerpt.facts,
        Err(_) if !interest.other_perks && is_of_another(body, &interest.perk) => return Ok(None),
        Err(error) => return Err(unreadable(&row.id, error)),
    };
    let is_ours = excerpt.perk_id.as_deref() == Some(interest.perk.as_str());
    let is_opened = kind == check::KIND && is_ours && at >= interest.personal_from;
    // Of what nobody decides again only grants matter, and another perk's redemption only where it
    // holds a place.
    let matters = match kind {
        check::KIND => is_opened || excerpt.is_granted(),
        redemption::KIND | redemption::OFFLINE => is_ours || excerpt.holds.is_some(),
        _ => true,
    };
    let person = interest.person.as_ref().map(Pseudonym::as_str);
    let names_them = person.is_none_or(|name| excerpt.subject.as_deref() == Some(name));
    if !(matters && names_them && (is_ours || interest.other_perks)) {
        return Ok(None);
    }
    let found = match kind {
        redemption::KIND | redemption::OFFLINE => {
            StoredEvent::from_body(body).map(|event| Found::Redeemed(Box::new(event)))
        }
        correction::CORRECTED => StoredEvent::from_body(body).map(|event| Found::Corrected(Box::new(event))),
        occupancy::CORRECTED => StoredEvent::from_body(body).map(|event| Found::Occupied(Box::new(event))),
        ending::RELEASED | ending::VOIDED | ending::FREED => {
            StoredEvent::from_body(body).map(|event| Found::Ended(Box::new(event), kind != ending::RELEASED))
        }
        _ => StoredEvent::from_body(body).map(|event| Found::Check(Box::new(event), is_opened)),
    };
    found.map(Some).map_err(|error| unreadable(&row.id, error))
}

/// True if a body that can't be read still says that it is of another perk.
fn is_of_another(body: &str, perk: &PerkId) -> bool {
    let said = member_of_unreadable(body, "perk_id").and_then(|id| id.parse::<PerkId>().ok());
    said.is_some_and(|id| id != *perk)
}

pub(super) fn subjects_called(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    pseudonyms: &BTreeSet<&str>,
) -> Result<HashMap<String, (SubjectRef, Subject)>, DatabaseError> {
    let pseudonyms: Vec<&str> = pseudonyms.iter().copied().collect();
    let mut subjects = HashMap::new();
    for row in rows::list_subjects_called(conn, merchant, &pseudonyms)? {
        let bytes: [u8; 32] =
            row.subject_ref.as_slice().try_into().map_err(|e| DatabaseError::corrupt("subject reference", e))?;
        let reference = SubjectRef(bytes);
        let secret = keyring
            .open_subject(merchant, &reference, &row.sealed)
            .map_err(|e| DatabaseError::corrupt("subject", e))?;
        let pseudonym = Pseudonym::stored(&row.pseudonym);
        subjects.insert(row.pseudonym, (reference, Subject { secret, pseudonym }));
    }
    Ok(subjects)
}
