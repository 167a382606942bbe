//! Admission: the counters of a batch, locked, and who still fits.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::entry::{CheckEntry, LimitTouched};
use super::store::{self, CounterRow};
use crate::clock::from_micros;
use crate::database::{AnyConnection, DatabaseError};
use crate::eligibility::reason::Reason;
use crate::perks::limit::LimitClaim;
use crate::subject::Pseudonym;

/// merchant, perk, limit, scope value, window.
type CounterKey = [String; 5];

/// The counters that a batch needs, locked until it commits.
pub(super) struct Counters {
    rows: BTreeMap<CounterKey, Counter>,
}

struct Counter {
    used: u64,
    last_used_at: i64,
    changed: bool,
}

/// What the limits said to one check.
pub(super) struct Admission {
    pub admitted: bool,
    pub limits: Vec<LimitTouched>,
    /// Why not, one for each limit that had no room.
    pub refusals: Vec<Reason>,
    pub next_eligible_at: Option<Timestamp>,
}

impl Counters {
    /// Locks what the granted checks of the batch would use, in one order everywhere.
    pub(super) fn lock(conn: &mut AnyConnection, checks: &[(&CheckEntry, &Pseudonym)]) -> Result<Self, DatabaseError> {
        let mut wanted = BTreeMap::new();
        for (check, subject) in checks {
            for claim in &check.claims {
                let [merchant_id, perk_id, limit_id, scope_key, window_key] =
                    key(check, claim, claim.scope.resolve(subject));
                let row =
                    CounterRow { merchant_id, perk_id, limit_id, scope_key, window_key, used: 0, last_used_at: 0 };
                wanted.insert(row_key(&row), row);
            }
        }
        let rows: Vec<CounterRow> = wanted.into_values().collect();
        let mut locked = BTreeMap::new();
        // Bounded binds a statement: SQLite takes 32,766.
        for chunk in rows.chunks(1000) {
            for row in store::lock_counters(conn, chunk)? {
                let used = u64::try_from(row.used).map_err(|e| DatabaseError::corrupt("limit counter", e))?;
                let counter = Counter { used, last_used_at: row.last_used_at, changed: false };
                locked.insert(row_key(&row), counter);
            }
        }
        Ok(Self { rows: locked })
    }

    /// The counters of one check as they stand, without locking or making any.
    pub(super) fn peek(
        conn: &mut AnyConnection,
        check: &CheckEntry,
        subject: &Pseudonym,
    ) -> Result<Self, DatabaseError> {
        let mut rows = BTreeMap::new();
        for claim in &check.claims {
            let key = key(check, claim, claim.scope.resolve(subject));
            let [_, perk, limit, scope, window] = &key;
            let used = store::find_counter(conn, &check.merchant, [perk, limit, scope, window])?.unwrap_or(0);
            let used = u64::try_from(used).map_err(|e| DatabaseError::corrupt("limit counter", e))?;
            rows.insert(key, Counter { used, last_used_at: 0, changed: false });
        }
        Ok(Self { rows })
    }

    /// Admits a check if every one of its limits has room; one that any limit refuses uses nothing.
    pub(super) fn admit(&mut self, check: &CheckEntry, subject: &Pseudonym) -> Result<Admission, DatabaseError> {
        let mut refusals = Vec::new();
        let mut touched = Vec::with_capacity(check.claims.len());
        for claim in &check.claims {
            let scope = claim.scope.resolve(subject);
            let key = key(check, claim, scope.clone());
            let counter = self.rows.get(&key).ok_or(DatabaseError::NotFound)?;
            if counter.used.saturating_add(claim.cost) > claim.max {
                refusals.push(Reason::limit_reached(&claim.limit, claim.resets_at));
            }
            touched.push((key, claim, scope, counter.used));
        }
        let admitted = refusals.is_empty();
        let mut limits = Vec::with_capacity(touched.len());
        for (key, claim, scope, used) in touched {
            let used = if admitted { used + claim.cost } else { used };
            if let (true, Some(counter)) = (admitted, self.rows.get_mut(&key)) {
                counter.used = used;
                // Replicas' clocks differ: a counter's time never goes back.
                counter.last_used_at = counter.last_used_at.max(check.at.as_microsecond());
                counter.changed = true;
            }
            limits.push(LimitTouched {
                id: claim.limit.clone(),
                scope,
                window: claim.window_key.clone(),
                cost: claim.cost,
                max: claim.max,
                used,
                resets_at: claim.resets_at,
            });
        }
        // All limits that refused must have reset; one that never does means never.
        let next_eligible_at = refusals.iter().map(|r| r.next_eligible_at).reduce(|a, b| Some(a?.max(b?))).flatten();
        Ok(Admission { admitted, limits, refusals, next_eligible_at })
    }

    /// Writes back what was used.
    pub(super) fn store(self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        let mut changed = Vec::new();
        for (key, counter) in self.rows {
            if counter.changed {
                let [merchant_id, perk_id, limit_id, scope_key, window_key] = key;
                let used = i64::try_from(counter.used).map_err(|e| DatabaseError::corrupt("limit counter", e))?;
                let last_used_at = from_micros(counter.last_used_at).as_microsecond();
                changed.push(CounterRow { merchant_id, perk_id, limit_id, scope_key, window_key, used, last_used_at });
            }
        }
        for chunk in changed.chunks(1000) {
            store::update_counters(conn, chunk)?;
        }
        Ok(())
    }
}

fn key(check: &CheckEntry, claim: &LimitClaim, scope: String) -> CounterKey {
    // A counter that all perks of the merchant share stands under no perk.
    let perk = if claim.across_perks { String::new() } else { check.perk.as_str().to_owned() };
    [check.merchant.as_str().to_owned(), perk, claim.limit.clone(), scope, claim.window_key.clone()]
}

fn row_key(row: &CounterRow) -> CounterKey {
    [row.merchant_id.clone(), row.perk_id.clone(), row.limit_id.clone(), row.scope_key.clone(), row.window_key.clone()]
}
