//! Grants that the key which gave them takes back at once: the wrong person was checked in, or nobody came.
//!
//! A door that is offline may take the token until it expires, and nobody can tell it not to: what the grant used of limits
//! is free only then, unless doors take the rule's tokens online alone. Until it is freed, or a door reports that it did take
//! the token, the grant's row says when.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::claims;
use super::ending::{FREED, Locked, VOIDED, ended, event, sums_used};
use super::party::PartyStanding;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::{from_micros, from_seconds};
use crate::foundation::ids::{GrantId, KeyId, MerchantId};
use crate::ledger::entry::{Actor, EventDraft};
use crate::ledger::events::ending::GrantEnded;
use crate::ledger::store::{self, ends};
use crate::ledger::write::check::{self, StoredCheck};
use crate::ledger::write::counters;
use crate::ledger::{Ledger, LedgerError};
use crate::tokens::claims::{Claims, SKEW_SECONDS};

/// The time in which a grant can be undone.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// The most grants whose uses one change frees.
const AT_ONCE: i64 = 25;

/// Who frees them.
const GATEWAY: Actor = Actor { key: None, role: "gateway" };

/// Why a grant is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoReason {
    WrongPerson,
    Left,
    Duplicate,
    Mistake,
}

impl UndoReason {
    pub const ALL: [Self; 4] = [Self::WrongPerson, Self::Left, Self::Duplicate, Self::Mistake];

    /// As it stands on the wire and in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WrongPerson => "wrong_person",
            Self::Left => "left",
            Self::Duplicate => "duplicate",
            Self::Mistake => "mistake",
        }
    }
}

/// The one who takes a grant back.
#[derive(Debug, Clone)]
pub struct Undoing {
    /// A key, or a clerk who acts with the key `desk`.
    pub actor: Actor,
    pub desk: KeyId,
    /// The only location at which that key acts.
    pub place: Option<String>,
}

impl Undoing {
    /// A key that acts for itself.
    #[must_use]
    pub fn of_key(key: KeyId, role: &'static str) -> Self {
        Self { actor: Actor { key: Some(key.clone()), role }, desk: key, place: None }
    }

    /// Tells whether it is the one that granted, whose key this is.
    fn is(&self, key: &str) -> bool {
        key == self.desk.as_str() || self.actor.key.as_ref().is_some_and(|actor| actor.as_str() == key)
    }
}

/// Why a grant was not undone.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    #[error("there is no such grant")]
    NotFound,
    #[error("another key granted it")]
    NotYours,
    /// The clerk granted it at another desk.
    #[error("it was granted at {location}")]
    Elsewhere { location: String },
    #[error("it was granted more than {} minutes ago", PATIENCE.as_mins())]
    Over,
    #[error("a door has taken its token")]
    Redeemed,
    #[error("the grant was released")]
    Released,
    #[error("the grant was taken back")]
    Voided,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A grant that was undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undone {
    pub undone_at: Timestamp,
    /// From when on others may use what it had used of limits.
    pub limits_free_at: Timestamp,
}

/// Takes a grant back that the caller gave.
pub(crate) fn undo(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    merchant: &MerchantId,
    (grant, by, reason): (&GrantId, &Undoing, UndoReason),
    now: Timestamp,
) -> Result<Undone, UndoError> {
    let found = store::find_grant(conn, merchant, grant.as_str())?.ok_or(UndoError::NotFound)?;
    if now.duration_since(from_micros(found.granted_at)) > PATIENCE {
        // Before its check is read, which may be pruned by then.
        let right = right_of(conn, merchant, &found.check_id, by)?;
        return Err(if let Right::Refused(objection) = right { objection } else { UndoError::Over });
    }
    match right_of(conn, merchant, &found.check_id, by)? {
        Right::Held => {}
        Right::Refused(objection) => return Err(objection),
        Right::Unknown => return Err(UndoError::NotYours),
    }
    let ids = [grant.as_str()];
    let sums = sums_used(conn, merchant, &ids)?.remove(grant.as_str()).unwrap_or_default();
    let mut locked = Locked::lock(conn, &ids, sums.iter().map(|(key, _)| key.clone()), now)?;
    let row = locked.grants.pop().ok_or(UndoError::NotFound)?;
    if row.voided_at.is_some() {
        return undone_before(conn, merchant, &row.id, &by.actor, reason)?.ok_or(UndoError::Voided);
    }
    if !store::list_redemptions(conn, &ids)?.is_empty() {
        return Err(UndoError::Redeemed);
    }
    if row.released_at.is_some() {
        return Err(UndoError::Released);
    }
    let claims = claims::read(&row)?;
    let (due, standing) = (closes(&claims), PartyStanding::of(&row)?);
    let frees_at = (!claims.online_only && due > now).then_some(due);
    let returned = if frees_at.is_none() { locked.give_back(&row.id, &standing, &sums) } else { Vec::new() };
    let facts = GrantEnded {
        frees_at,
        keeps_uses: Some(false),
        reason: Some(reason.as_str().into()),
        returned,
        ..ended(&row, &claims, &standing, now)
    };
    events.push(event(merchant, &by.actor, VOIDED, &row.id, &facts));
    store::void_grants(conn, merchant, &ids, now.as_microsecond())?;
    if let Some(at) = frees_at {
        ends::free_grant_at(conn, merchant, &row.id, Some(at.as_microsecond()))?;
    }
    counters::store(conn, locked.counters)?;
    Ok(Undone { undone_at: now, limits_free_at: frees_at.unwrap_or(now) })
}

/// A void's event, as far as a retry of an undo is distinguished from another void.
#[derive(Deserialize)]
struct VoidEvent {
    actor: By,
    facts: Why,
}

#[derive(Deserialize)]
struct By {
    key: Option<String>,
}

#[derive(Deserialize)]
struct Why {
    reason: Option<String>,
    ended_at: Option<Timestamp>,
    frees_at: Option<Timestamp>,
}

/// The undo by this actor for this reason that has been, whose answer was lost; none where it was voided otherwise.
fn undone_before(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    grant: &str,
    actor: &Actor,
    reason: UndoReason,
) -> Result<Option<Undone>, DatabaseError> {
    for event in store::list_events_about(conn, merchant, &[grant], VOIDED)? {
        let Some(body) = event.body else { continue };
        let VoidEvent { actor: by, facts } =
            serde_json::from_str(&body).map_err(|e| DatabaseError::corrupt("event", e))?;
        let is_same = by.key.as_deref() == actor.key.as_ref().map(KeyId::as_str)
            && facts.reason.as_deref() == Some(reason.as_str());
        if let Some(undone_at) = facts.ended_at.filter(|_| is_same) {
            return Ok(Some(Undone { undone_at, limits_free_at: facts.frees_at.unwrap_or(undone_at) }));
        }
    }
    Ok(None)
}

/// From when on no door takes the token.
fn closes(claims: &Claims) -> Timestamp {
    from_seconds(claims.exp.saturating_add(SKEW_SECONDS))
}

/// Tells whether a caller may take a grant back.
enum Right {
    Held,
    Refused(UndoError),
    /// The body that says who granted is pruned.
    Unknown,
}

/// The right of the caller to take the grant of a check back.
fn right_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    check: &str,
    by: &Undoing,
) -> Result<Right, DatabaseError> {
    let event = store::list_events_about(conn, merchant, &[check], check::KIND)?.pop();
    let Some(body) = event.and_then(|event| event.body) else { return Ok(Right::Unknown) };
    let event = StoredCheck::from_body(&body).map_err(|e| DatabaseError::corrupt("event", e))?;
    let key = event.actor.key.0.as_deref();
    if !key.is_some_and(|key| by.is(key)) {
        return Ok(Right::Refused(UndoError::NotYours));
    }
    let location = event.facts.location.0.as_deref();
    let other = location.filter(|at| by.place.as_deref().is_some_and(|own| own != *at));
    Ok(other.map_or(Right::Held, |at| Right::Refused(UndoError::Elsewhere { location: at.to_owned() })))
}

/// Frees what undone grants used of limits and no door can take any more; how many grants that were.
///
/// # Errors
/// [`LedgerError`]; for a grant that can't be read once all others are free.
pub(crate) async fn free_undone(ledger: &Ledger) -> Result<usize, LedgerError> {
    let now = ledger.context().clock.now();
    let (mut freed, mut last, mut unreadable) = (0, None::<Due>, None);
    loop {
        let after = last.take();
        let due = ledger.context().database.read(move |conn| list_due(conn, now, after.as_ref())).await?;
        let Some(newest) = due.last().cloned() else { break };
        last = Some(newest);
        let mut by_merchant: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for it in due {
            by_merchant.entry(it.merchant).or_default().push(it.grant);
        }
        for (merchant, grants) in by_merchant {
            let done = ledger
                .change(move |conn, events| Ok::<_, LedgerError>(free_due(conn, events, (&merchant, &grants), now)?));
            let done = done.await?;
            freed += done.count;
            unreadable = done.unreadable.or(unreadable);
        }
    }
    unreadable.map_or(Ok(freed), |error| Err(error.into()))
}

/// A grant whose uses are due to be free.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    pub merchant: String,
    pub grant: String,
    pub frees_at: i64,
}

/// Some of the grants that are due by `now`, the oldest first, behind `after`.
pub(crate) fn list_due(
    conn: &mut AnyConnection,
    now: Timestamp,
    after: Option<&Due>,
) -> Result<Vec<Due>, DatabaseError> {
    let after = after.map(|due| (due.frees_at, due.grant.as_str()));
    let rows = ends::list_due_grants(conn, now.as_microsecond(), after, AT_ONCE)?;
    Ok(rows.into_iter().map(|(frees_at, grant, merchant)| Due { merchant, grant, frees_at }).collect())
}

/// The outcome for grants that were due.
#[derive(Debug, Default)]
pub(crate) struct Freed {
    pub count: usize,
    /// Why the last of those that can't be read can't be; it waits, and keeps no other from being freed.
    pub unreadable: Option<DatabaseError>,
}

/// Frees what undone grants of a merchant used of limits, now that no door takes their tokens any more. Every replica may
/// try; the lock on a grant's row lets one do it.
pub(crate) fn free_due(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    (merchant, due): (&str, &[String]),
    now: Timestamp,
) -> Result<Freed, DatabaseError> {
    let mut done = Freed::default();
    let merchant: MerchantId = match merchant.parse() {
        Ok(merchant) => merchant,
        Err(error) => return Ok(Freed { unreadable: Some(DatabaseError::corrupt("merchant id", error)), ..done }),
    };
    let mut sums = HashMap::new();
    let mut ids: Vec<&str> = Vec::with_capacity(due.len());
    for grant in due {
        match sums_used(conn, &merchant, &[grant.as_str()]) {
            Ok(used) => {
                sums.extend(used);
                ids.push(grant);
            }
            Err(error @ DatabaseError::Corrupt { .. }) => done.unreadable = Some(error),
            Err(error) => return Err(error),
        }
    }
    let mut locked = Locked::lock(conn, &ids, sums.values().flatten().map(|(key, _)| key.clone()), now)?;
    for row in std::mem::take(&mut locked.grants) {
        // Another replica was first, or a door has reported that it had taken the token.
        if row.frees_at.is_none_or(|at| at > now.as_microsecond()) {
            continue;
        }
        let (standing, claims) = match PartyStanding::of(&row).and_then(|standing| Ok((standing, claims::read(&row)?)))
        {
            Ok(read) => read,
            Err(error) => {
                done.unreadable = Some(error);
                continue;
            }
        };
        let sums = sums.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        let returned = locked.give_back(&row.id, &standing, sums);
        let facts = GrantEnded { returned, ..ended(&row, &claims, &standing, now) };
        events.push(event(&merchant, &GATEWAY, FREED, &row.id, &facts));
        ends::free_grant_at(conn, &merchant, &row.id, None)?;
        done.count += 1;
    }
    counters::store(conn, locked.counters)?;
    Ok(done)
}
