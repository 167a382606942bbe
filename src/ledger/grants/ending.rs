//! Grants that end before their time: a guest leaves, a mistake is taken back.
//!
//! Each runs in the transaction of an administrative change and locks in the order of a batch:
//! counters, grants, and the log's head last.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::claims;
use super::party::PartyStanding;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{GrantId, MerchantId};
use crate::foundation::json::Json;
use crate::ledger::LedgerError;
use crate::ledger::entry::{Actor, EventDraft, LogOwner, SealedFields};
use crate::ledger::events::ending::{GrantEnded, UseReturned};
use crate::ledger::events::{Nullable, Text, WrittenFacts};
use crate::ledger::store::{self, GrantRow, UseRow};
use crate::ledger::write::check::{self, StoredCheck};
use crate::ledger::write::counters::{self, Counter, CounterKey, Wanted};
use crate::rules::limit::{CONCURRENT, ROLLING, is_across_perks};
use crate::tokens::claims::Claims;

/// The most grants that one change takes back. A change holds the writer's thread and the locks of all
/// that its grants used; checks that came meanwhile go before the next change.
pub const AT_ONCE: usize = 25;

/// The kinds of their events.
pub const RELEASED: &str = "grant.released";
pub const VOIDED: &str = "grant.voided";
/// The uses of an undone grant are free.
pub const FREED: &str = "grant.freed";

/// The note of a void whose caller could leave none: RFC 7009 has no place for it.
const REVOKED: &str = "The token was revoked.";

/// Why a grant did not end.
#[derive(Debug, thiserror::Error)]
pub enum ReturnError {
    #[error("there is no such grant")]
    NotFound,
    #[error("the grant was taken back")]
    Voided,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The one who says that a guest left, and the place.
#[derive(Debug, Clone)]
pub struct Leaving {
    pub actor: Actor,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    /// The audience that the grant must be for; none for any.
    pub audience: Option<String>,
}

/// Why grants are taken back, and what becomes of what they used.
#[derive(Debug, Clone)]
pub struct GrantRevocation {
    pub actor: Actor,
    /// Personal, as it may name people.
    pub note: String,
    /// Leave what they used of limits used: the right answer to an abuse. What a door has taken
    /// remains used in any case.
    pub keep_uses: bool,
}

/// The outcome for grants that were to be taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RevokedGrants {
    pub voided: u64,
    /// Number of those that a door had taken before.
    pub redeemed: u64,
    /// Number of those that had been released before: their tokens opened no door any more.
    pub released: u64,
    /// Voided before; nothing was done.
    pub already: u64,
}

impl GrantRevocation {
    /// The revocation of one grant by its token.
    pub(crate) fn of_token(actor: Actor) -> Self {
        Self { actor, note: REVOKED.to_owned(), keep_uses: false }
    }
}

/// Number of these grants of the merchant that a door has taken.
pub(crate) fn count_redeemed(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    grants: &[GrantId],
) -> Result<u64, DatabaseError> {
    let ids: Vec<&str> = grants.iter().map(GrantId::as_str).collect();
    let rows = store::list_redemptions(conn, &ids)?.into_iter();
    let taken: HashSet<String> =
        rows.filter(|row| row.merchant_id == merchant.as_str()).map(|row| row.grant_id).collect();
    Ok(taken.len() as u64)
}

/// The thing that was named to take a grant back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedBy {
    Grant,
    /// It was revoked.
    Token,
}

/// Grants and the counters they use, locked.
pub(super) struct Locked {
    pub grants: Vec<GrantRow>,
    pub counters: BTreeMap<CounterKey, Counter>,
    uses: HashMap<String, Vec<UseRow>>,
    now: Timestamp,
}

impl Locked {
    /// `sums`: the calendar and lifetime counters that are wanted too.
    pub(super) fn lock(
        conn: &mut AnyConnection,
        grants: &[&str],
        sums: impl Iterator<Item = CounterKey>,
        now: Timestamp,
    ) -> Result<Self, DatabaseError> {
        let mut wanted: BTreeMap<CounterKey, Wanted> = sums.map(|key| (key, Wanted::default())).collect();
        // A grant's uses move under their counters' locks, but never to another counter.
        for held in store::list_uses_of(conn, grants)? {
            let behind = if held.stay > 0 { 0 } else { now.as_microsecond().saturating_sub(held.counts_at).max(0) };
            let wanted = wanted.entry(counters::key_of(&held)).or_default();
            wanted.horizons.push((now.as_microsecond(), Some(behind)));
        }
        let mut counters = counters::lock(conn, &wanted)?;
        let grants_held = store::lock_grants(conn, grants)?;
        let mut uses: HashMap<String, Vec<UseRow>> = HashMap::new();
        for held in store::list_uses_of(conn, grants)? {
            uses.entry(held.grant_id.clone()).or_default().push(held);
        }
        counters::read_corrections(conn, &mut counters, uses.values().flatten())?;
        Ok(Self { grants: grants_held, counters, uses, now })
    }

    /// Takes away those of the grant's uses that `which` says; returns them.
    fn take_uses(&mut self, grant: &str, which: impl Fn(&UseRow) -> bool) -> Vec<UseReturned<'static>> {
        let taken = self.uses.remove(grant).unwrap_or_default().into_iter().filter(which);
        let mut returned = Vec::new();
        for held in taken {
            let counter = self.counters.get_mut(&counters::key_of(&held));
            let left = counter.map(|counter| counter.remove_use(&held)).unwrap_or_default();
            let window = if held.stay > 0 { CONCURRENT } else { ROLLING };
            let cost = u64::try_from(held.cost).unwrap_or(0);
            let corrections = counters::uses_left(&left);
            let has_lapsed = held.stay > 0 && held.counts_at <= self.now.as_microsecond();
            let lapsed_at = has_lapsed.then(|| from_micros(held.counts_at));
            returned.push(UseReturned {
                corrections,
                lapsed_at,
                ..part(&held.limit_id, &held.scope_key, window, cost)
            });
        }
        returned
    }

    /// Gives back all that the grant used: its single uses, and `sums`.
    pub(super) fn give_back(
        &mut self,
        grant: &str,
        standing: &PartyStanding,
        sums: &[(CounterKey, u64)],
    ) -> Vec<UseReturned<'static>> {
        let mut back = self.take_uses(grant, |_| true);
        for (key, cost) in sums {
            if let Some(counter) = self.counters.get_mut(key) {
                let [_, _, limit, scope, window] = key;
                let cost = standing.cost_of(limit, *cost);
                counter.give_back(cost);
                back.push(part(limit, scope, window, cost));
            }
        }
        back
    }
}

/// Ends a grant because the guest has left; when it ended, which a second time is the first.
pub(crate) fn release(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    merchant: &MerchantId,
    grant: &GrantId,
    leaving: &Leaving,
    now: Timestamp,
) -> Result<Timestamp, ReturnError> {
    let mut locked = Locked::lock(conn, &[grant.as_str()], std::iter::empty(), now)?;
    let found = locked.grants.pop().filter(|row| row.merchant_id == merchant.as_str());
    let row = found.filter(|row| leaving.audience.as_ref().is_none_or(|audience| *audience == row.audience));
    let row = row.ok_or(ReturnError::NotFound)?;
    if let Some(at) = row.released_at {
        return Ok(from_micros(at));
    }
    // Voided after a door had let the guest in: the place is the guest's until the guest leaves. What was undone and waits
    // is nobody's: a door that is offline may still let the guest in.
    let is_held = locked.uses.get(&row.id).is_some_and(|uses| uses.iter().any(|held| held.stay > 0));
    if row.voided_at.is_some() && (!is_held || row.frees_at.is_some()) {
        return Err(ReturnError::Voided);
    }
    let freed = locked.take_uses(&row.id, |held| held.stay > 0);
    counters::store(conn, locked.counters)?;
    store::release_grant(conn, merchant, &row.id, now.as_microsecond())?;
    let claims = claims::read(&row)?;
    let facts = GrantEnded {
        kiosk: Some(Nullable::text(leaving.kiosk.as_deref())),
        location: Some(Nullable::text(leaving.location.as_deref())),
        returned: freed,
        ..ended(&row, &claims, &PartyStanding::of(&row)?, now)
    };
    events.push(event(merchant, &leaving.actor, RELEASED, &row.id, &facts));
    Ok(now)
}

/// Takes grants back, all of them or none.
pub(crate) fn void(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    merchant: &MerchantId,
    grants: &[GrantId],
    taking: &GrantRevocation,
    by: NamedBy,
    now: Timestamp,
) -> Result<RevokedGrants, ReturnError> {
    let mut ids: Vec<&str> = grants.iter().map(GrantId::as_str).collect();
    ids.sort_unstable();
    ids.dedup();
    let sums = if taking.keep_uses { HashMap::new() } else { sums_used(conn, merchant, &ids)? };
    let keys: HashSet<CounterKey> = sums.values().flatten().map(|(key, _)| key.clone()).collect();
    let mut locked = Locked::lock(conn, &ids, keys.into_iter(), now)?;
    let rows = std::mem::take(&mut locked.grants);
    if rows.len() != ids.len() || rows.iter().any(|row| row.merchant_id != merchant.as_str()) {
        return Err(ReturnError::NotFound);
    }
    let spent: HashSet<String> = store::list_redemptions(conn, &ids)?.into_iter().map(|row| row.grant_id).collect();
    let mut taken = RevokedGrants::default();
    let mut voided = Vec::with_capacity(rows.len());
    for row in &rows {
        if row.voided_at.is_some() {
            taken.already += 1;
            continue;
        }
        taken.voided += 1;
        voided.push(row.id.as_str());
        let was_spent = spent.contains(&row.id);
        taken.redeemed += u64::from(was_spent);
        taken.released += u64::from(row.released_at.is_some());
        let gives_back = !was_spent && !taking.keep_uses;
        // A place that no guest has taken yet is free in any case; one that has keeps it until it leaves.
        let mut back = locked.take_uses(&row.id, |held| !was_spent && (gives_back || held.stay > 0));
        let standing = PartyStanding::of(row)?;
        for (key, cost) in sums.get(&row.id).into_iter().flatten().filter(|_| gives_back) {
            if let Some(counter) = locked.counters.get_mut(key) {
                let [_, _, limit, scope, window] = key;
                let cost = standing.cost_of(limit, *cost);
                counter.give_back(cost);
                back.push(part(limit, scope, window, cost));
            }
        }
        let claims = claims::read(row)?;
        let mut facts =
            GrantEnded { keeps_uses: Some(taking.keep_uses), returned: back, ..ended(row, &claims, &standing, now) };
        let personal = match by {
            NamedBy::Token => {
                facts.note = Some(taking.note.as_str().into());
                facts.revoked = Some(true);
                None
            }
            // What someone wrote may name the person.
            NamedBy::Grant => {
                let fields = Json::object([("note", Json::text(&taking.note))]);
                Some(SealedFields { subject: claims.sub.as_str().to_owned(), fields })
            }
        };
        events.push(EventDraft { personal, ..event(merchant, &taking.actor, VOIDED, &row.id, &facts) });
    }
    store::void_grants(conn, merchant, &voided, now.as_microsecond())?;
    counters::store(conn, locked.counters)?;
    Ok(taken)
}

/// The uses that each grant made of counters that only add up, as recorded by its check's event.
pub(super) fn sums_used(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    ids: &[&str],
) -> Result<HashMap<String, Vec<(CounterKey, u64)>>, DatabaseError> {
    let rows = store::list_grants(conn, merchant, ids)?;
    let checks: Vec<&str> = rows.iter().map(|row| row.check_id.as_str()).collect();
    let events = store::list_events_about(conn, merchant, &checks, check::KIND)?.into_iter();
    let mut bodies: HashMap<String, String> = events.filter_map(|event| Some((event.about, event.body?))).collect();
    let mut used = HashMap::new();
    for row in &rows {
        // A pruned body tells nothing any more: its windows are long over.
        let Some(body) = bodies.remove(&row.check_id) else { continue };
        let event = StoredCheck::from_body(&body).map_err(|e| DatabaseError::corrupt("event", e))?;
        let sums = event.facts.limits.into_iter().filter(|limit| limit.horizon.is_none());
        let keys = sums.map(|limit| {
            let perk = if is_across_perks(&limit.scope) { String::new() } else { row.perk_id.clone() };
            let [id, scope, window] = [limit.id, limit.scope, limit.window].map(Text::into_owned);
            ([merchant.as_str().to_owned(), perk, id, scope, window], limit.cost)
        });
        used.insert(row.id.clone(), keys.collect());
    }
    Ok(used)
}

/// The end of the grant, with what the token states and who came, so that a report needs no other event.
pub(super) fn ended<'a>(
    row: &'a GrantRow,
    claims: &'a Claims,
    standing: &PartyStanding,
    now: Timestamp,
) -> GrantEnded<'a> {
    GrantEnded {
        check: row.check_id.as_str().into(),
        // The event's own time is that of its turn, which may come a moment later.
        ended_at: Some(now),
        guests: standing.admitted.guests.map(Into::into),
        frees_at: None,
        keeps_uses: None,
        kiosk: None,
        location: None,
        note: None,
        party: standing.stated_party(claims).into(),
        perk: Nullable::some(claims.perk.as_str().into()),
        perk_id: row.perk_id.as_str().into(),
        reason: None,
        returned: Vec::new(),
        revoked: None,
        rule_version: Nullable::some(claims.rule),
        subject: Nullable::some(claims.sub.as_str().into()),
        tier: Nullable::some(claims.tier.as_str().into()),
    }
}

fn part(limit: &str, scope: &str, window: &str, cost: u64) -> UseReturned<'static> {
    let [id, scope, window] = [limit, scope, window].map(|text| text.to_owned().into());
    UseReturned { corrections: None, cost, id, lapsed_at: None, scope, window }
}

pub(super) fn event(
    merchant: &MerchantId,
    actor: &Actor,
    kind: &'static str,
    about: &str,
    facts: &GrantEnded<'_>,
) -> EventDraft {
    EventDraft {
        log: LogOwner::Merchant(merchant.clone()),
        kind,
        about: about.to_owned(),
        actor: actor.clone(),
        facts: WrittenFacts::of(facts),
        personal: None,
    }
}
