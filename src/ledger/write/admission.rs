//! Admission: the counters of a batch, locked, and who still fits.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::counters::{self, Counter, CounterKey, Wanted};
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::reason::Reason;
use crate::foundation::clock::from_micros;
use crate::foundation::ids::GrantId;
use crate::foundation::subject::Pseudonym;
use crate::ledger::entry::{CheckEntry, LimitTouched, UseTouched};
use crate::ledger::store::UseRow;
use crate::rules::limit::{Counting, LimitClaim};
use crate::tokens::claims::SKEW_SECONDS;

/// The counters that a batch needs, locked until it commits.
pub(crate) struct Counters {
    rows: BTreeMap<CounterKey, Counter>,
    /// The places that grants hold, as they stood when their counters were locked.
    holds: HashMap<String, Vec<UseRow>>,
}

/// The answer of the limits to one check.
pub(crate) struct Admission {
    pub admitted: bool,
    pub limits: Vec<LimitTouched>,
    /// Why not, one for each limit that had no room.
    pub refusals: Vec<Reason>,
    pub next_eligible_at: Option<Timestamp>,
}

/// A place that a redeemed grant goes on holding.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub limit: String,
    pub scope: String,
    /// When it is free at the latest.
    pub until: Timestamp,
}

impl Counters {
    /// Locks what the granted checks of the batch would use, and the places that the grants in
    /// `doors` hold (each with the instant at which it is redeemed), in one order everywhere.
    pub(crate) fn lock(
        conn: &mut AnyConnection,
        checks: &[(&CheckEntry, &Pseudonym)],
        doors: &[(&GrantId, Timestamp)],
    ) -> Result<Self, DatabaseError> {
        let mut wanted = BTreeMap::new();
        for (check, subject) in checks {
            want(&mut wanted, check, subject);
        }
        let held = counters::list_holds(conn, doors.iter().map(|(grant, _)| grant.as_str()))?;
        for (grant, at) in doors {
            for hold in held.get(grant.as_str()).into_iter().flatten() {
                let wanted = wanted.entry(counters::key_of(hold)).or_default();
                wanted.horizons.push((at.as_microsecond(), Some(0)));
            }
        }
        let rows = counters::lock(conn, &wanted)?;
        // Read again under the lock: another replica may have moved them since.
        let holds = if held.is_empty() { held } else { counters::list_holds(conn, held.keys().map(String::as_str))? };
        Ok(Self { rows, holds })
    }

    /// The counters of one check as they stand, without locking or making any.
    pub(crate) fn peek(
        conn: &mut AnyConnection,
        check: &CheckEntry,
        subject: &Pseudonym,
    ) -> Result<Self, DatabaseError> {
        let mut wanted = BTreeMap::new();
        want(&mut wanted, check, subject);
        Ok(Self { rows: counters::peek(conn, &check.merchant, &wanted)?, holds: HashMap::new() })
    }

    /// Admits a check if every one of its limits has room; one that any limit refuses uses nothing.
    pub(crate) fn admit(&mut self, check: &CheckEntry, subject: &Pseudonym) -> Result<Admission, DatabaseError> {
        let at = check.at.as_microsecond();
        let mut refusals = Vec::new();
        let mut touched = Vec::with_capacity(check.claims.len());
        for claim in &check.claims {
            let scope = claim.scope.resolve(subject);
            let key = key(check, claim, scope.clone());
            let counter = self.rows.get_mut(&key).ok_or(DatabaseError::NotFound)?;
            // Replicas' clocks differ: a counter's time never goes back.
            let now = counter.last_used_at.max(at);
            if let Some(horizon) = horizon(claim.counting, now) {
                counter.uses.move_to(horizon);
            }
            if counter.uses.sum().saturating_add(claim.cost) > claim.max {
                let room = match claim.counting {
                    Counting::Sum => claim.resets_at,
                    Counting::Rolling(length) => {
                        let lapses = counter.uses.room_at(claim.cost, claim.max);
                        lapses.map(|at| from_micros(at.saturating_add(length.micros())))
                    }
                    // Nobody knows when guests leave.
                    Counting::Held { .. } => None,
                };
                refusals.push(Reason::limit_reached(claim, room));
            }
            touched.push((key, claim, scope, now));
        }
        let admitted = refusals.is_empty();
        let mut limits = Vec::with_capacity(touched.len());
        for (key, claim, scope, now) in touched {
            let counter = self.rows.get_mut(&key).ok_or(DatabaseError::NotFound)?;
            let counts_at = if admitted { use_of(counter, key, claim, check, now) } else { None };
            limits.push(LimitTouched {
                id: claim.limit.clone(),
                scope,
                window: claim.window_key.clone(),
                cost: claim.cost,
                max: claim.max,
                used: counter.uses.sum(),
                resets_at: match claim.counting {
                    Counting::Sum => claim.resets_at,
                    Counting::Rolling(length) => {
                        counter.uses.next_lapse().map(|at| from_micros(at.saturating_add(length.micros())))
                    }
                    Counting::Held { .. } => None,
                },
                counted: (claim.counting != Counting::Sum).then(|| UseTouched {
                    horizon: from_micros(counter.uses.horizon()),
                    counts_at: counts_at.map(from_micros),
                }),
            });
        }
        // All limits that refused must have reset; one that never does means never.
        let next_eligible_at = refusals.iter().map(|r| r.next_eligible_at).reduce(|a, b| Some(a?.max(b?))).flatten();
        Ok(Admission { admitted, limits, refusals, next_eligible_at })
    }

    /// A guest comes in: what the grant holds, it holds for as long as guests may stay. None when it
    /// lapsed before; someone else may have the place by now.
    pub(crate) fn begin_stay(&mut self, grant: &str, at: Timestamp, is_first: bool) -> Option<Vec<Held>> {
        let Some(holds) = self.holds.get(grant) else {
            return Some(Vec::new());
        };
        let now = |hold: &UseRow| {
            let last = self.rows.get(&counters::key_of(hold)).map_or(0, |counter| counter.last_used_at);
            last.max(at.as_microsecond())
        };
        let stays: Vec<(UseRow, i64)> = holds.iter().map(|hold| (hold.clone(), now(hold))).collect();
        if stays.iter().any(|(hold, now)| hold.counts_at <= *now) {
            return None;
        }
        if !is_first {
            return Some(Vec::new());
        }
        let mut held = Vec::with_capacity(stays.len());
        let mut moved = Vec::with_capacity(stays.len());
        for (hold, now) in stays {
            let until = now.saturating_add(hold.stay);
            if let Some(counter) = self.rows.get_mut(&counters::key_of(&hold)) {
                counter.uses.move_to(now);
                counter.last_used_at = now;
                counter.move_use(&hold, until);
            }
            held.push(Held { limit: hold.limit_id.clone(), scope: hold.scope_key.clone(), until: from_micros(until) });
            moved.push(UseRow { counts_at: until, ..hold });
        }
        self.holds.insert(grant.to_owned(), moved);
        Some(held)
    }

    /// Writes back what was used.
    pub(crate) fn store(self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        counters::store(conn, self.rows)
    }
}

/// Up to where uses have lapsed at `now`, where they are counted one by one.
pub(crate) fn horizon(counting: Counting, now: i64) -> Option<i64> {
    match counting {
        Counting::Sum => None,
        Counting::Rolling(length) => Some(now.saturating_sub(length.micros())),
        Counting::Held { .. } => Some(now),
    }
}

/// Until when a grant holds its place if no door takes the token. The token lives by this replica's
/// clock (`at` to `expiry`), the place by the counter's (`now`), which may be ahead: it must be held
/// as long, or it would not count at all.
pub fn held_until(now: i64, at: i64, expiry: i64) -> i64 {
    let lives = expiry.saturating_add(SKEW_SECONDS).saturating_mul(1_000_000).saturating_sub(at);
    now.saturating_add(lives.max(0))
}

/// Uses the limit; where the use stands, if it is counted by itself.
fn use_of(counter: &mut Counter, key: CounterKey, claim: &LimitClaim, check: &CheckEntry, now: i64) -> Option<i64> {
    counter.last_used_at = now;
    let (counts_at, stay) = match claim.counting {
        Counting::Sum => {
            counter.add(claim.cost);
            return None;
        }
        Counting::Rolling(_) => (now, 0),
        // A door may take the token until then.
        Counting::Held { max_stay } => {
            let expiry = check.grant.as_ref().map(|grant| grant.claims.exp);
            // A preview may have no grant yet, and holds its place for as long as nobody asks.
            let until = expiry.map_or(i64::MAX, |expiry| held_until(now, check.at.as_microsecond(), expiry));
            (until, max_stay.micros())
        }
    };
    let [merchant_id, perk_id, limit_id, scope_key, window_key] = key;
    let grant_id = check.grant.as_ref().map(|grant| grant.id.as_str().to_owned()).unwrap_or_default();
    let cost = i64::try_from(claim.cost).unwrap_or(i64::MAX);
    counter.add_use(UseRow { merchant_id, perk_id, limit_id, scope_key, window_key, counts_at, grant_id, cost, stay });
    Some(counts_at)
}

fn want(wanted: &mut BTreeMap<CounterKey, Wanted>, check: &CheckEntry, subject: &Pseudonym) {
    for claim in &check.claims {
        let key = key(check, claim, claim.scope.resolve(subject));
        let behind = match claim.counting {
            Counting::Sum => None,
            Counting::Rolling(length) => Some(length.micros()),
            Counting::Held { .. } => Some(0),
        };
        wanted.entry(key).or_default().horizons.push((check.at.as_microsecond(), behind));
    }
}

fn key(check: &CheckEntry, claim: &LimitClaim, scope: String) -> CounterKey {
    // A counter that all perks of the merchant share stands under no perk.
    let perk = if claim.across_perks { String::new() } else { check.perk.as_str().to_owned() };
    [check.merchant.as_str().to_owned(), perk, claim.limit.clone(), scope, claim.window_key.clone()]
}
