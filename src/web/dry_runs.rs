//! A limit on how often a key asks about one person unrecorded. Each answer of a dry run tells one bit about the
//! score, and a search by many of them would read it; what is recorded is seen by an auditor, these are not.
//! Counted per process: behind N replicas a key has N times as many.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::problem::{Kind, Problem};
use crate::foundation::ids::KeyId;
use crate::foundation::subject::SubjectRef;

/// Dry runs within [`WINDOW`] for one key and person.
const MOST: usize = 30;

const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// A key that asks about more people than this within the window has one count for all the others, so that
/// memory is bounded, and asking about strangers makes no room for a person's next question.
const PEOPLE_MAX: usize = 10_000;

/// The interval at which the counts that are over are dropped.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// The dry runs of the last hour.
#[derive(Default)]
pub(crate) struct DryRuns(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    keys: HashMap<KeyId, People>,
    swept: Timestamp,
}

/// Those whom one key asked about.
#[derive(Default)]
struct People {
    each: HashMap<SubjectRef, Asked>,
    crowd: Asked,
}

/// The times when someone was asked about, the earliest first.
#[derive(Default)]
struct Asked(VecDeque<Timestamp>);

impl Asked {
    /// Counts one more.
    fn take(&mut self, now: Timestamp) -> Result<(), SignedDuration> {
        self.forget(now);
        match self.0.front() {
            Some(first) if self.0.len() >= MOST => Err(WINDOW - now.duration_since(*first)),
            _ => {
                self.0.push_back(now);
                Ok(())
            }
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while self.0.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            self.0.pop_front();
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.0.back().is_none_or(|at| now.duration_since(*at) >= WINDOW)
    }
}

impl Counts {
    fn sweep(&mut self, now: Timestamp) {
        self.swept = now;
        self.keys.retain(|_, people| {
            people.each.retain(|_, asked| !asked.is_over(now));
            !people.each.is_empty() || !people.crowd.is_over(now)
        });
    }
}

impl DryRuns {
    /// Counts one dry run of this key about this person.
    ///
    /// # Errors
    /// A 429 when there were too many within the hour.
    pub(crate) fn take(&self, key: &KeyId, person: SubjectRef, now: Timestamp) -> Result<(), Problem> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(counts.swept) >= SWEEP_EVERY {
            counts.sweep(now);
        }
        let People { each, crowd } = counts.keys.entry(key.clone()).or_default();
        let is_crowded = each.len() >= PEOPLE_MAX && !each.contains_key(&person);
        let asked = if is_crowded { crowd } else { each.entry(person).or_default() };
        asked.take(now).map_err(|wait| {
            let seconds = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
            let detail = if is_crowded {
                format!(
                    "This key asked about {PEOPLE_MAX} people within an hour: about all others it has {MOST} dry runs."
                )
            } else {
                format!("At most {MOST} dry runs an hour are taken for a key and a person: wait, or ask for a check that is recorded.")
            };
            Problem::new(Kind::TooManyDryRuns, detail).retry_after(seconds.unsigned_abs().max(1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::entropy::Entropy;

    fn person(nth: usize) -> SubjectRef {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&nth.to_be_bytes());
        SubjectRef(bytes)
    }

    #[test]
    fn a_flood_of_people_shares_one_count_and_leaves_the_known_ones_theirs() {
        let runs = DryRuns::default();
        let (key, now) = (KeyId::new(Timestamp::UNIX_EPOCH, &Entropy::seeded(1)), Timestamp::UNIX_EPOCH);
        for _ in 0..MOST {
            runs.take(&key, person(0), now).unwrap();
        }
        let taken = (1..PEOPLE_MAX + 100).filter(|nth| runs.take(&key, person(*nth), now).is_ok()).count();
        assert_eq!(taken, PEOPLE_MAX - 1 + MOST, "the crowd has one count");
        assert!(runs.take(&key, person(0), now).is_err(), "nobody was forgotten for it");
        assert!(runs.take(&key, person(1), now).is_ok());
        assert_eq!(runs.0.lock().unwrap().keys[&key].each.len(), PEOPLE_MAX);
        let later = now + WINDOW;
        runs.take(&key, person(0), later).unwrap();
        assert_eq!(runs.0.lock().unwrap().keys[&key].each.len(), 1, "what is over is dropped");
    }
}
