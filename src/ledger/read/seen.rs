//! Decisions as people look at them: with their reasons, and with the handle of who asked, for those who may see handles.

use std::collections::BTreeSet;

use super::decisions::{self, PastCheck};
use super::history::subjects_called;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{CheckId, MerchantId, PerkId};
use crate::foundation::subject::SubjectHandle;
use crate::keyring::Keyring;
use crate::ledger::error::unreadable;
use crate::ledger::store::{self, history as rows};
use crate::ledger::write::check::{self, StoredCheck};

/// Number of places of a log that one look spans at most.
pub const SPAN: i64 = 2_000;

/// Number of them that one query reads.
const CHUNK: i64 = 200;

/// A decision in its place.
#[derive(Debug, Clone)]
pub struct SeenCheck {
    pub index: i64,
    /// The perk's short name, as it was then.
    pub perk: String,
    pub past: PastCheck,
    /// None where it was not asked for, and once the person was erased.
    pub handle: Option<SubjectHandle>,
}

/// Decisions that were looked for, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub checks: Vec<SeenCheck>,
    /// Number of others in the same stretch.
    pub more: u64,
    /// The first index behind the stretch.
    pub next: i64,
}

/// The size of the merchant's log.
///
/// # Errors
/// The database's.
pub(crate) fn log_size(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<i64, DatabaseError> {
    Ok(rows::find_log_size(conn, merchant)?.map_or(0, |(_, size)| size))
}

/// The newest `most` decisions about a perk, of the last [`SPAN`] places at most: from an index on, and how many others
/// there were since; or of late, where none is given. What is pruned, or was written otherwise by a newer build, is left
/// out.
///
/// # Errors
/// The database's.
pub(crate) fn list_newest(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    (merchant, perk): (&MerchantId, &PerkId),
    from: Option<i64>,
    most: usize,
    sees_handles: bool,
) -> Result<Seen, DatabaseError> {
    let Some((log, size)) = rows::find_log_size(conn, merchant)? else { return Ok(Seen::default()) };
    let low = from.unwrap_or(0).max(size.saturating_sub(SPAN));
    let (mut found, mut more, mut before) = (Vec::new(), 0, size);
    while low < before && (from.is_some() || found.len() < most) {
        let chunk = low.max(before.saturating_sub(CHUNK));
        for row in rows::list_placed(conn, &log, &[check::KIND], chunk, before)?.into_iter().rev() {
            let event = row.body.as_deref().and_then(|body| StoredCheck::from_body(body).ok());
            let Some(event) = event.filter(|event| event.facts.perk_id == perk.as_str()) else { continue };
            if found.len() < most {
                found.push((row.log_index, event));
            } else {
                more += 1;
            }
        }
        before = chunk;
    }
    found.reverse();
    Ok(Seen { checks: opened(conn, keyring, merchant, found, sees_handles)?, more, next: size })
}

/// One decision of the merchant; none if there is none, or it is pruned.
///
/// # Errors
/// The database's.
pub(crate) fn find(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    check: &CheckId,
    sees_handles: bool,
) -> Result<Option<SeenCheck>, DatabaseError> {
    let Some(row) = store::find_event(conn, merchant, check.as_str(), check::KIND)? else { return Ok(None) };
    let Some(body) = row.body.as_deref() else { return Ok(None) };
    let event = StoredCheck::from_body(body).map_err(|error| unreadable(&row.id, error))?;
    Ok(opened(conn, keyring, merchant, vec![(row.log_index, event)], sees_handles)?.pop())
}

/// The handles behind these pseudonyms of the merchant's events; none of those who were erased.
///
/// # Errors
/// The database's.
pub(crate) fn handles_of(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    pseudonyms: &BTreeSet<String>,
) -> Result<Vec<(String, SubjectHandle)>, DatabaseError> {
    let wanted = pseudonyms.iter().map(String::as_str).collect();
    let subjects = subjects_called(conn, keyring, merchant, &wanted)?;
    Ok(subjects.into_iter().map(|(name, (_, subject))| (name, subject.secret.handle().clone())).collect())
}

fn opened(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    events: Vec<(i64, StoredCheck)>,
    sees_handles: bool,
) -> Result<Vec<SeenCheck>, DatabaseError> {
    let wanted: BTreeSet<&str> = events.iter().map(|(_, event)| event.facts.subject.as_ref()).collect();
    let wanted = if sees_handles { wanted } else { BTreeSet::new() };
    let subjects = subjects_called(conn, keyring, merchant, &wanted)?;
    let read = |(index, event): (i64, StoredCheck)| {
        let subject = subjects.get(event.facts.subject.as_ref());
        let past = decisions::read(&event, subject).map_err(|error| unreadable(&event.id, error))?;
        let handle = subject.map(|(_, subject)| subject.secret.handle().clone());
        Ok(SeenCheck { index, perk: event.facts.perk.into_owned(), past, handle })
    };
    events.into_iter().map(read).collect()
}
