//! Who is inside: the uses of a perk's concurrent limit, read as they stand and corrected by those who can see the room.
//!
//! A correction is uses of the same counter that no grant made, and of each other counter of the place. Those who are inside unseen stay for as long as guests may.
//! Those who left unseen are taken off where others stand, as nobody knows who it was: of undone grants first, whose places
//! are free soon in any case, then of guests who came in, those who lapse first, then of places that are only held. What was
//! taken off lapses with what it was taken off from, and takes off no more than stands there: where a grant ends or comes to
//! hold its place for longer, the correction shrinks with it. So a counter never says fewer than none, at any time.

mod standing;

use std::iter::once;

use jiff::Timestamp;

use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{MerchantId, OccupancyId, PerkId, PerkSlug};
use crate::ledger::LedgerError;
use crate::ledger::entry::{Actor, EventDraft, LogOwner};
use crate::ledger::events::occupancy::{OccupancyCorrected, OccupancyOfLimit, OccupancyUse};
use crate::ledger::events::{Nullable, WrittenFacts};
use crate::ledger::store::{UseRow, standing as rows};
use crate::ledger::write::counters::{self, Counter, CounterKey, Wanted};
use crate::rules::limit::CONCURRENT;
use crate::rules::occupancy::House;
pub use standing::{Inside, Release};
pub(crate) use standing::{list_since, log_size, read};

/// The kind of its event.
pub const CORRECTED: &str = "occupancy.corrected";

/// The most people by whom one correction differs from the count.
pub const MOST: i64 = 1000;

/// Why the count was not corrected. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OccupancyError {
    #[error("only {inside} are inside")]
    BelowZero { inside: u64 },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The place whose count is meant: the counter of a perk's concurrent limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CountedPlace {
    pub merchant: MerchantId,
    pub perk: PerkId,
    pub slug: PerkSlug,
    pub house: House,
}

/// More or fewer are inside than are counted.
#[derive(Debug, Clone)]
pub struct OccupancyCorrection {
    pub id: OccupancyId,
    pub actor: Actor,
    pub place: CountedPlace,
    /// The other limits that count who is inside the place.
    pub others: Vec<House>,
    /// Not zero, and at most [`MOST`] either way.
    pub delta: i64,
    /// It stands in the event in the clear.
    pub reason: String,
}

/// A count that was corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OccupancyCorrectedAt {
    pub at: Timestamp,
    pub inside: u64,
    /// When the last of it lapses.
    pub until: Timestamp,
}

impl CountedPlace {
    /// The key of the counter of a limit that counts who is inside.
    fn key(&self, house: &House) -> CounterKey {
        let [perk, limit, scope, window] = self.counter_of(house);
        [self.merchant.as_str(), perk, limit, scope, window].map(str::to_owned)
    }

    /// The same without the merchant.
    fn counter_of<'a>(&'a self, house: &'a House) -> [&'a str; 4] {
        let perk = if house.is_across_perks { "" } else { self.perk.as_str() };
        [perk, &house.limit, &house.scope, CONCURRENT]
    }

    /// The key of its own counter, without the merchant.
    fn counter(&self) -> [&str; 4] {
        self.counter_of(&self.house)
    }
}

/// Corrects the count of a place, in each limit that counts who is inside it. Of another limit no more are taken off than it
/// counts: it may have begun to count later.
pub(crate) fn correct(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    correction: &OccupancyCorrection,
    now: Timestamp,
) -> Result<OccupancyCorrectedAt, OccupancyError> {
    let OccupancyCorrection { id, actor, place, others, delta, reason } = correction;
    let now = now.as_microsecond();
    let wanted = |house: &House| (place.key(house), Wanted { horizons: vec![(now, Some(0))] });
    let wanted = once(&place.house).chain(others).map(wanted).collect();
    let mut counters = counters::lock(conn, &wanted)?;
    let counter = counters.get_mut(&place.key(&place.house)).ok_or(DatabaseError::NotFound)?;
    let asked =
        correct_counter(conn, counter, (correction, &place.house), now, true)?.ok_or(DatabaseError::NotFound)?;
    let mut also = Vec::new();
    for house in others {
        let counter = counters.get_mut(&place.key(house)).ok_or(DatabaseError::NotFound)?;
        also.extend(correct_counter(conn, counter, (correction, house), now, false)?);
    }
    counters::store(conn, counters)?;
    let until = asked.uses.iter().map(|it| it.until).max().unwrap_or(asked.corrected_at);
    let answer = OccupancyCorrectedAt { at: asked.corrected_at, inside: asked.used, until };
    let facts = OccupancyCorrected {
        also: (!also.is_empty()).then_some(also),
        corrected_at: asked.corrected_at,
        correction: id.as_str().into(),
        delta: *delta,
        limit: asked.id,
        location: Nullable::text(place.house.location.as_deref()),
        max: asked.max,
        perk: place.slug.as_str().into(),
        perk_id: place.perk.as_str().into(),
        reason: reason.as_str().into(),
        scope: asked.scope,
        used: asked.used,
        uses: asked.uses,
    };
    events.push(EventDraft {
        log: LogOwner::Merchant(place.merchant.clone()),
        kind: CORRECTED,
        about: place.perk.as_str().to_owned(),
        actor: actor.clone(),
        facts: WrittenFacts::of(&facts),
        personal: None,
    });
    Ok(answer)
}

/// Corrects one counter. None where it isn't the one that was asked about, and counts nobody to be taken off.
fn correct_counter<'a>(
    conn: &mut AnyConnection,
    counter: &mut Counter,
    (correction, house): (&OccupancyCorrection, &'a House),
    now: i64,
    is_asked: bool,
) -> Result<Option<OccupancyOfLimit<'a>>, OccupancyError> {
    let OccupancyCorrection { id, place, delta, .. } = correction;
    let at = counter.last_used_at.max(now);
    counter.uses.move_to(at);
    let inside = counter.uses.sum();
    let most = i64::try_from(inside).unwrap_or(i64::MAX);
    if is_asked && most.saturating_add(*delta) < 0 {
        return Err(OccupancyError::BelowZero { inside });
    }
    let longest = house.max_stay.micros();
    let pieces = if *delta < 0 {
        taken_off(conn, place, house, at, delta.saturating_neg().min(most))?
    } else {
        vec![(at.saturating_add(longest), *delta)]
    };
    if pieces.is_empty() && !is_asked {
        return Ok(None);
    }
    let mut uses = Vec::with_capacity(pieces.len());
    for (nth, (until, cost)) in pieces.into_iter().enumerate() {
        let name = format!("{id}.{nth}");
        let [merchant_id, perk_id, limit_id, scope_key, window_key] = place.key(house);
        counter.add_use(UseRow {
            merchant_id,
            perk_id,
            limit_id,
            scope_key,
            window_key,
            counts_at: until,
            grant_id: name.clone(),
            cost,
            stay: longest,
        });
        uses.push(OccupancyUse { cost, id: name.into(), until: from_micros(until) });
    }
    counter.last_used_at = at;
    Ok(Some(OccupancyOfLimit {
        corrected_at: from_micros(at),
        delta: uses.iter().fold(0_i64, |sum, one| sum.saturating_add(one.cost)),
        id: house.limit.as_str().into(),
        max: house.capacity,
        scope: house.scope.as_str().into(),
        used: counter.uses.sum(),
        uses,
    }))
}

/// Where so many people are taken off, each with a cost below zero: first from undone grants that are about to be freed,
/// then from guests who came in, then from places that are only held; the earliest to lapse first.
fn taken_off(
    conn: &mut AnyConnection,
    place: &CountedPlace,
    house: &House,
    at: i64,
    mut left: i64,
) -> Result<Vec<(i64, i64)>, DatabaseError> {
    let mut taken = Vec::new();
    for row in rows::list_positions(conn, &place.merchant, &place.counter_of(house), at, left)? {
        let some = row.cost.min(left);
        if some > 0 {
            taken.push((row.counts_at, -some));
            left -= some;
        }
    }
    Ok(taken)
}

/// Sorts behind every id.
const AFTER_ALL: &str = "~";
