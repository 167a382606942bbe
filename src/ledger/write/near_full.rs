//! The limits that are nearly used up, as the checks of this process last saw them: for metrics, which name none of them.
//!
//! Only counters that many people share count. One person's own are full whenever they were used, as they should be.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::batch::CheckOutcome;
use crate::ledger::entry::CheckEntry;

/// From this share on, in hundredths, a limit is nearly used up.
const NEAR_FULL_PERCENT: u64 = 90;

/// The most that are remembered; there may be one for each kiosk of each merchant.
const MOST: usize = 100_000;

/// The counters that are nearly full, by a hash of what they count, with when their window is over.
#[derive(Default)]
pub(crate) struct NearFull(Mutex<HashMap<u64, Option<Timestamp>>>);

impl NearFull {
    /// Notes what a committed batch found of its limits.
    pub(crate) fn note<'a>(&self, committed: impl Iterator<Item = (&'a CheckEntry, &'a CheckOutcome)>) {
        for (check, outcome) in committed {
            let CheckOutcome::Recorded(record) = outcome else { continue };
            // A replay tells of the limits of then.
            if record.check != check.check {
                continue;
            }
            for claim in check.claims.iter().filter(|claim| !claim.scope.is_personal()) {
                let Some(touched) = record.decided.limits.iter().find(|touched| touched.id == claim.limit) else {
                    continue;
                };
                let mut hasher = DefaultHasher::new();
                let perk = (!claim.across_perks).then(|| check.perk.as_str());
                (check.merchant.as_str(), perk, &touched.id, &touched.scope, &touched.window).hash(&mut hasher);
                self.set(hasher.finish(), touched.used, touched.max, touched.resets_at);
            }
        }
    }

    fn set(&self, counter: u64, used: u64, max: u64, resets_at: Option<Timestamp>) {
        let mut known = self.lock();
        if used.saturating_mul(100) < max.saturating_mul(NEAR_FULL_PERCENT) {
            known.remove(&counter);
        } else if known.len() < MOST || known.contains_key(&counter) {
            known.insert(counter, resets_at);
        }
    }

    /// Counts those that are nearly full at `now`; those whose window is over are forgotten.
    pub(crate) fn count(&self, now: Timestamp) -> usize {
        let mut known = self.lock();
        known.retain(|_, resets_at| resets_at.is_none_or(|at| now < at));
        known.len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Option<Timestamp>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_in_ten_is_near_full_until_the_window_is_over_or_a_guest_leaves() {
        let near_full = NearFull::default();
        let midnight = Timestamp::constant(1_800_000_000, 0);
        let before = Timestamp::constant(1_799_999_999, 0);
        near_full.set(1, 179, 200, Some(midnight));
        near_full.set(2, 180, 200, Some(midnight));
        near_full.set(3, 1, 1, None);
        assert_eq!(near_full.count(before), 2);
        near_full.set(3, 0, 1, None);
        assert_eq!((near_full.count(before), near_full.count(midnight)), (1, 0));
    }
}
