//! When keys were last used, to the hour. Requests only note it in memory, once an hour for a key; it is written behind
//! them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::foundation::clock::from_micros;
use crate::foundation::ids::{KeyId, MerchantId};

const HOUR_MICROS: i64 = 3600 * 1_000_000;

/// The hour of a key's last use, in microseconds.
pub(super) struct LastUse(AtomicI64);

impl LastUse {
    pub(super) fn at(at: Option<Timestamp>) -> Self {
        Self(AtomicI64::new(at.map_or(i64::MIN, Timestamp::as_microsecond)))
    }

    /// The hour of a use at `now`, if none was noted in it or in a later one.
    pub(super) fn first_in_hour(&self, now: Timestamp) -> Option<Timestamp> {
        let hour = now.as_microsecond().div_euclid(HOUR_MICROS) * HOUR_MICROS;
        // A look costs other cores nothing; a write would.
        let is_first = self.0.load(Ordering::Relaxed) < hour && self.0.fetch_max(hour, Ordering::Relaxed) < hour;
        is_first.then(|| from_micros(hour))
    }
}

/// Uses that are noted and not written yet: a key's merchant and hour.
#[derive(Default)]
pub(super) struct UnwrittenUses(Mutex<HashMap<KeyId, (Option<MerchantId>, Timestamp)>>);

impl UnwrittenUses {
    pub(super) fn note(&self, key: KeyId, merchant: Option<MerchantId>, hour: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = uses.get(&key).map_or(hour, |(_, last)| hour.max(*last));
        uses.insert(key, (merchant, last));
    }

    /// Takes all of them; in the order of the keys, so that replicas that write the same ones take turns.
    pub(super) fn take(&self) -> Vec<(KeyId, Option<MerchantId>, Timestamp)> {
        let uses = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut uses: Vec<_> = uses.into_iter().map(|(key, (merchant, hour))| (key, merchant, hour)).collect();
        uses.sort_by(|a, b| a.0.cmp(&b.0));
        uses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_noted_once_an_hour() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let last = LastUse::at(None);
        assert_eq!(last.first_in_hour(at("2026-11-22T09:59:59Z")), Some(at("2026-11-22T09:00:00Z")));
        assert_eq!(last.first_in_hour(at("2026-11-22T09:59:59Z")), None);
        assert_eq!(last.first_in_hour(at("2026-11-22T08:00:00Z")), None, "never back");
        assert_eq!(last.first_in_hour(at("2026-11-22T10:00:00Z")), Some(at("2026-11-22T10:00:00Z")));
        let known = LastUse::at(Some(at("2026-11-22T10:00:00Z")));
        assert_eq!(known.first_in_hour(at("2026-11-22T10:30:00Z")), None);
    }
}
