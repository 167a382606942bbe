//! How full a place is, for rules that look at it: as it was a second ago at most, so that not every check counts again. No
//! limit is held by it: what must be exact is a limit's to say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::access::Merchant;
use crate::database::DatabaseError;
use crate::foundation::decimal::Decimal;
use crate::ledger::Ledger;
use crate::ledger::occupancy::{self, CountedPlace};
use crate::perks::active_perk::ActivePerk;
use crate::rules::occupancy::House;
use crate::rules::rule::Rule;

/// For how long a sample is good, by the monotonic clock and by that of checks.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// The most places that samples are kept of; each costs some hundred bytes.
const MOST: usize = 10_000;

/// A count, and when it was read.
#[derive(Debug, Clone, Copy)]
struct Sample {
    inside: u64,
    read: Instant,
    at: Timestamp,
}

type Reading = Arc<tokio::sync::Mutex<Option<Sample>>>;

/// The newest samples. Cheap to clone.
#[derive(Clone, Default)]
pub struct Samples {
    places: Arc<Mutex<HashMap<CountedPlace, Reading>>>,
}

impl Samples {
    /// How full it is, in percent to the hundredth, where `own` is the location of the key that asks. None where the rule
    /// doesn't look at it, or no limit counts who is inside.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn percent(
        &self,
        ledger: &Ledger,
        (merchant, perk, rule): (&Merchant, &ActivePerk, &Rule),
        own: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Decimal>, DatabaseError> {
        if !rule.looks_at_occupancy() {
            return Ok(None);
        }
        let Ok(house) = House::around(rule, own) else { return Ok(None) };
        let (merchant, id, slug) = (merchant.id.clone(), perk.id.clone(), perk.slug.clone());
        let place = CountedPlace { merchant, perk: id, slug, house };
        // One reads, and the others wait for what it finds.
        let reading = self.reading_of(&place);
        let mut reading = reading.lock().await;
        let inside = if let Some(sample) = reading.filter(|sample| sample.is_good(now)) {
            sample.inside
        } else {
            let (read, of) = (Instant::now(), place.clone());
            let found = ledger.context().database.read(move |conn| occupancy::read(conn, &of, now)).await?;
            *reading = Some(Sample { inside: found.count, read, at: now });
            found.count
        };
        let hundredths = i64::try_from(place.house.hundredths_of_percent(inside)).unwrap_or(i64::MAX);
        Ok(Some(Decimal::from_thousandths(hundredths.saturating_mul(10))))
    }

    fn reading_of(&self, place: &CountedPlace) -> Reading {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MOST && !places.contains_key(place) {
            places.clear();
        }
        places.entry(place.clone()).or_default().clone()
    }
}

impl Sample {
    fn is_good(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        let is_near = age >= SignedDuration::ZERO && age.unsigned_abs() < GOOD_FOR;
        is_near && self.read.elapsed() < GOOD_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_good_for_less_than_a_second() {
        let at = Timestamp::UNIX_EPOCH;
        let sample = Sample { inside: 1, read: Instant::now() + Duration::from_hours(1), at };
        let after = |micros: i64| sample.is_good(at + SignedDuration::from_micros(micros));
        assert_eq!([after(0), after(999_999), after(1_000_000), after(-1)], [true, true, false, false]);
        let old = Sample { read: Instant::now().checked_sub(GOOD_FOR).unwrap(), ..sample };
        assert!(!old.is_good(at), "whatever the wall clock says");
    }
}
