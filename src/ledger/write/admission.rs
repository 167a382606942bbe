//! Admission: the counters of a batch, locked, and who still fits by `arithmetic`.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::arithmetic::{self, ClaimTime, Met};
use super::counters::{self, Counter, CounterKey, UseLeft, Wanted};
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::decided::Admission;
use crate::foundation::clock::from_micros;
use crate::foundation::ids::GrantId;
use crate::foundation::subject::Pseudonym;
use crate::ledger::entry::CheckEntry;
use crate::ledger::store::{CounterRow, UseRow};
use crate::rules::limit::{Counting, LimitClaim, ScopeDigests};

/// The counters that a batch needs, locked until it commits.
pub(crate) struct LimitCounters {
    rows: BTreeMap<CounterKey, Counter>,
    /// The places that grants hold, as they stood when their counters were locked.
    holds: HashMap<String, Vec<UseRow>>,
}

/// A place that a redeemed grant goes on holding.
#[derive(Debug, Clone)]
pub(crate) struct HeldPlace {
    pub limit: String,
    pub scope: String,
    /// When it is free at the latest.
    pub until: Timestamp,
    /// Those that had taken the guest off.
    pub corrections: Vec<UseLeft>,
}

impl LimitCounters {
    /// Locks what the granted checks of the batch would use, and the places that the grants in
    /// `doors` hold (each with the instant at which it is redeemed), in one order everywhere.
    pub(crate) fn lock(
        conn: &mut AnyConnection,
        checks: &[(&CheckEntry, &Pseudonym, &ScopeDigests)],
        doors: &[(&GrantId, Timestamp)],
    ) -> Result<Self, DatabaseError> {
        let mut wanted = BTreeMap::new();
        for (check, subject, digests) in checks {
            want(&mut wanted, check, subject, digests, check.claims.iter())?;
        }
        let held = counters::list_holds(conn, doors.iter().map(|(grant, _)| grant.as_str()))?;
        for (grant, at) in doors {
            for hold in held.get(grant.as_str()).into_iter().flatten() {
                let wanted = wanted.entry(counters::key_of(hold)).or_default();
                wanted.horizons.push((at.as_microsecond(), Some(0)));
            }
        }
        let mut rows = counters::lock(conn, &wanted)?;
        // Read again under the lock: another replica may have moved them since.
        let holds = if held.is_empty() { held } else { counters::list_holds(conn, held.keys().map(String::as_str))? };
        counters::read_corrections(conn, &mut rows, holds.values().flatten())?;
        Ok(Self { rows, holds })
    }

    /// The counters that the granted checks of the batch would use, none of whose uses lapses, for a batch that is written
    /// only if nobody has recorded anything since. Nothing is locked.
    pub(crate) fn find(
        conn: &mut AnyConnection,
        checks: &[(&CheckEntry, &Pseudonym, &ScopeDigests)],
    ) -> Result<Self, DatabaseError> {
        let mut wanted = BTreeMap::new();
        for (check, subject, digests) in checks {
            want(&mut wanted, check, subject, digests, check.claims.iter())?;
        }
        Ok(Self { rows: counters::find(conn, &wanted)?, holds: HashMap::new() })
    }

    /// The counters of one check as they stand, without locking or making any.
    pub(crate) fn peek(
        conn: &mut AnyConnection,
        check: &CheckEntry,
        subject: &Pseudonym,
        digests: &ScopeDigests,
    ) -> Result<Self, DatabaseError> {
        let mut wanted = BTreeMap::new();
        want(&mut wanted, check, subject, digests, check.claims.iter())?;
        Ok(Self { rows: counters::peek(conn, &check.merchant, &wanted)?, holds: HashMap::new() })
    }

    /// Admits a check if every one of its limits has room; one that any limit refuses uses nothing.
    pub(crate) fn admit(
        &mut self,
        check: &CheckEntry,
        subject: &Pseudonym,
        digests: &ScopeDigests,
    ) -> Result<Admission, DatabaseError> {
        let expires = check.grant.as_ref().map(|grant| grant.claims.exp);
        let asked = ClaimTime { at: check.at.as_microsecond(), expires };
        let mut keys = Vec::with_capacity(check.claims.len());
        let mut met = Vec::with_capacity(check.claims.len());
        for claim in &check.claims {
            let scope = resolve(claim, subject, digests)?;
            let key = key(check, claim, scope.clone());
            let counter = self.rows.get_mut(&key).ok_or(DatabaseError::NotFound)?;
            met.push(Met::new(claim, scope, &mut counter.uses, counter.last_used_at, asked));
            keys.push(key);
        }
        if arithmetic::have_room(&met) {
            for ((key, claim), met) in keys.into_iter().zip(&check.claims).zip(&met) {
                let counter = self.rows.get_mut(&key).ok_or(DatabaseError::NotFound)?;
                counter.last_used_at = met.now();
                match met.counts_at() {
                    None => counter.add(claim.cost),
                    Some(counts_at) => counter.add_use(use_of(key, claim, check, counts_at)),
                }
            }
        }
        Ok(arithmetic::admit(met))
    }

    /// When waiting is enough for a check that its limits refuse, by the counters as they are held. Those of other tiers,
    /// which the rule may grant later, are read.
    pub(crate) fn next_grant(
        &mut self,
        conn: &mut AnyConnection,
        check: &CheckEntry,
        subject: &Pseudonym,
        digests: &ScopeDigests,
        refused: &Admission,
    ) -> Result<Option<Timestamp>, DatabaseError> {
        let Some(outlook) = check.outlook.as_ref().filter(|_| !refused.admitted) else { return Ok(None) };
        let by_tier = outlook.counts_by_tier();
        if refused.room_at.is_none() && !by_tier {
            return Ok(None);
        }
        let forecast = outlook.forecast(check.at);
        let mut rooms = Vec::new();
        for tier in forecast.tiers() {
            let is_refused = !by_tier || check.decided.tier.as_deref() == Some(tier);
            let claims = if is_refused { Vec::new() } else { check.request.claims(&outlook.rule, tier) };
            let room = if is_refused { refused.room_at } else { self.room_at(conn, check, subject, digests, &claims)? };
            rooms.push((tier, room));
        }
        Ok(forecast.first(|tier| rooms.iter().find(|(known, _)| *known == tier).and_then(|(_, room)| *room)))
    }

    /// When waiting is enough for a check that is refused before its limits are asked, by the counters as they stand.
    pub(crate) fn next_admitted(
        conn: &mut AnyConnection,
        check: &CheckEntry,
        subject: &Pseudonym,
        digests: &ScopeDigests,
    ) -> Result<Option<Timestamp>, DatabaseError> {
        let Some(outlook) = &check.outlook else { return Ok(None) };
        let forecast = outlook.forecast(check.at);
        let (tiers, by_tier) = (forecast.tiers(), outlook.counts_by_tier());
        let asked = if by_tier { tiers.len() } else { 1 };
        let claims: Vec<_> = tiers.iter().take(asked).map(|tier| check.request.claims(&outlook.rule, tier)).collect();
        let mut counters = Self { rows: BTreeMap::new(), holds: HashMap::new() };
        counters.read(conn, check, subject, digests, claims.iter().flatten())?;
        let mut rooms = Vec::with_capacity(claims.len());
        for claims in &claims {
            rooms.push(counters.room_at(conn, check, subject, digests, claims)?);
        }
        let nth = |tier: &str| if by_tier { tiers.iter().position(|known| *known == tier) } else { Some(0) };
        Ok(forecast.first(|tier| rooms.get(nth(tier)?).copied().flatten()))
    }

    /// From when on these claims have room.
    fn room_at(
        &mut self,
        conn: &mut AnyConnection,
        check: &CheckEntry,
        subject: &Pseudonym,
        digests: &ScopeDigests,
        claims: &[LimitClaim],
    ) -> Result<Option<Timestamp>, DatabaseError> {
        self.read(conn, check, subject, digests, claims.iter())?;
        let asked = ClaimTime { at: check.at.as_microsecond(), expires: None };
        let mut met = Vec::with_capacity(claims.len());
        for claim in claims {
            let scope = resolve(claim, subject, digests)?;
            let counter = self.rows.get(&key(check, claim, scope.clone())).ok_or(DatabaseError::NotFound)?;
            // Asking moves the horizon, which is the batch's own; of its copy nothing is kept.
            met.push(Met::new(claim, scope, &mut counter.uses.clone(), counter.last_used_at, asked));
        }
        Ok(arithmetic::room_at(&met))
    }

    /// Reads the counters of these claims that aren't at hand, without locking or making any.
    fn read<'a>(
        &mut self,
        conn: &mut AnyConnection,
        check: &CheckEntry,
        subject: &Pseudonym,
        digests: &ScopeDigests,
        claims: impl Iterator<Item = &'a LimitClaim>,
    ) -> Result<(), DatabaseError> {
        let mut wanted = BTreeMap::new();
        want(&mut wanted, check, subject, digests, claims)?;
        wanted.retain(|key, _| !self.rows.contains_key(key));
        self.rows.extend(counters::peek(conn, &check.merchant, &wanted)?);
        Ok(())
    }

    /// A guest comes in: what the grant holds, it holds for as long as guests may stay, from now on or, where a door
    /// says so afterwards, since they `entered`. None when it lapsed before; someone else may have the place by now.
    pub(crate) fn begin_stay(
        &mut self,
        grant: &str,
        at: Timestamp,
        entered: Option<Timestamp>,
        is_first: bool,
    ) -> Option<Vec<HeldPlace>> {
        let Some(holds) = self.holds.get(grant) else {
            return Some(Vec::new());
        };
        let now = |hold: &UseRow| {
            let last = self.rows.get(&counters::key_of(hold)).map_or(0, |counter| counter.last_used_at);
            last.max(at.as_microsecond())
        };
        let begun: Vec<(UseRow, i64)> = holds.iter().map(|hold| (hold.clone(), now(hold))).collect();
        if begun.iter().any(|(hold, now)| hold.counts_at <= *now) {
            return None;
        }
        if !is_first {
            return Some(Vec::new());
        }
        let mut held = Vec::with_capacity(begun.len());
        let mut moved = Vec::with_capacity(begun.len());
        for (hold, now) in begun {
            let until = entered.map_or(now, Timestamp::as_microsecond).saturating_add(hold.stay);
            let mut corrections = Vec::new();
            if let Some(counter) = self.rows.get_mut(&counters::key_of(&hold)) {
                counter.uses.move_to(now);
                counter.last_used_at = now;
                corrections = counter.move_use(&hold, until);
            }
            held.push(HeldPlace {
                corrections,
                limit: hold.limit_id.clone(),
                scope: hold.scope_key.clone(),
                until: from_micros(until),
            });
            moved.push(UseRow { counts_at: until, ..hold });
        }
        self.holds.insert(grant.to_owned(), moved);
        Some(held)
    }

    /// The rows of those of [`LimitCounters::find`] that were used.
    pub(crate) fn into_changed(self) -> Vec<CounterRow> {
        counters::changed(&self.rows)
    }

    /// Writes back what was used.
    pub(crate) fn store(self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        counters::store(conn, self.rows)
    }
}

/// The row of a use that is counted by itself.
fn use_of(key: CounterKey, claim: &LimitClaim, check: &CheckEntry, counts_at: i64) -> UseRow {
    let stay = match claim.counting {
        Counting::Held { max_stay } => max_stay.micros(),
        Counting::Sum | Counting::Rolling(_) => 0,
    };
    let [merchant_id, perk_id, limit_id, scope_key, window_key] = key;
    let grant_id = check.grant.as_ref().map(|grant| grant.id.as_str().to_owned()).unwrap_or_default();
    let cost = i64::try_from(claim.cost).unwrap_or(i64::MAX);
    UseRow { merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, grant_id, cost, stay }
}

fn want<'a>(
    wanted: &mut BTreeMap<CounterKey, Wanted>,
    check: &CheckEntry,
    subject: &Pseudonym,
    digests: &ScopeDigests,
    claims: impl Iterator<Item = &'a LimitClaim>,
) -> Result<(), DatabaseError> {
    for claim in claims {
        let key = key(check, claim, resolve(claim, subject, digests)?);
        wanted.entry(key).or_default().horizons.push((check.at.as_microsecond(), arithmetic::behind(claim.counting)));
    }
    Ok(())
}

/// The counter's scope. What nothing was brought for is refused before: counting something else would be an over-grant.
fn resolve(claim: &LimitClaim, subject: &Pseudonym, digests: &ScopeDigests) -> Result<String, DatabaseError> {
    claim.scope.resolve(subject, digests).map_err(|error| DatabaseError::corrupt("counter of a limit", error))
}

fn key(check: &CheckEntry, claim: &LimitClaim, scope: String) -> CounterKey {
    // A counter that all perks of the merchant share stands under no perk.
    let perk = if claim.across_perks { String::new() } else { check.perk.as_str().to_owned() };
    [check.merchant.as_str().to_owned(), perk, claim.limit.clone(), scope, claim.window_key.clone()]
}
