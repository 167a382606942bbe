//! Writes that were not sent to Redis yet: a bounded list, and a safe answer when it is full.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::kept::CachedKey;
use super::memory::ScoreKey;

/// The keys this process wrote while Redis could not be reached. Until they are sent, this process doesn't read those keys
/// from there; other replicas are bounded by the age of what they read.
pub(super) struct Pending<K = ScoreKey> {
    bound: usize,
    /// After so long nobody believes what Redis held before a write, so there is nothing left to tell.
    matters_for: SignedDuration,
    state: Mutex<State<K>>,
    /// True if there is anything to ask the state about: most of the time there isn't.
    any: AtomicBool,
}

struct State<K> {
    keys: HashMap<K, Entry>,
    turn: u64,
    /// Too many keys to remember: nothing that was read before this instant is believed.
    distrusted: Option<Timestamp>,
}

struct Entry {
    /// A key may be written again while the write before it is being sent to Redis.
    turn: u64,
    written_at: Timestamp,
}

impl<K: CachedKey> Pending<K> {
    /// Remembers up to `bound` keys.
    pub(super) fn new(bound: usize, matters_for: SignedDuration) -> Self {
        Self {
            bound,
            matters_for,
            state: Mutex::new(State { keys: HashMap::new(), turn: 0, distrusted: None }),
            any: AtomicBool::new(false),
        }
    }

    pub(super) fn insert(&self, keys: &[K], now: Timestamp) {
        let mut state = self.lock();
        state.turn += 1;
        let turn = state.turn;
        state.keys.extend(keys.iter().map(|key| (key.clone(), Entry { turn, written_at: now })));
        if state.keys.len() > self.bound {
            state.keys.clear();
            state.distrusted = Some(now);
        }
        self.any.store(true, Ordering::Release);
    }

    /// True if Redis may hold what was before a write of this key.
    pub(super) fn holds(&self, key: &K) -> bool {
        self.any.load(Ordering::Acquire) && self.lock().keys.contains_key(key)
    }

    /// True if Redis may hold what was before a write that is no longer remembered by its key.
    pub(super) fn distrusts(&self, read_at: Timestamp) -> bool {
        self.any.load(Ordering::Acquire) && self.lock().distrusted.is_some_and(|since| read_at <= since)
    }

    /// The turn to note before keys are sent to Redis.
    pub(super) fn turn(&self) -> u64 {
        self.lock().turn
    }

    /// Takes out keys that were sent to Redis, as they were written up to `turn`.
    pub(super) fn settle(&self, keys: &[K], turn: u64) {
        if self.any.load(Ordering::Acquire) {
            let mut state = self.lock();
            for key in keys {
                if state.keys.get(key).is_some_and(|entry| entry.turn <= turn) {
                    state.keys.remove(key);
                }
            }
            self.update(&state);
        }
    }

    /// Up to `limit` keys that still matter; those that don't are dropped.
    pub(super) fn list(&self, limit: usize, now: Timestamp) -> Vec<K> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut state = self.lock();
        let matters = |since: Timestamp| now.duration_since(since) <= self.matters_for;
        state.keys.retain(|_, entry| matters(entry.written_at));
        state.distrusted = state.distrusted.filter(|since| matters(*since));
        self.update(&state);
        state.keys.keys().take(limit).cloned().collect()
    }

    fn update(&self, state: &State<K>) {
        self.any.store(!state.keys.is_empty() || state.distrusted.is_some(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::clock::from_seconds;
    use crate::foundation::subject::SubjectRef;

    fn key(number: u8) -> ScoreKey {
        ScoreKey {
            merchant: "mer_018f3c2e7b7a7000800000000000abcd".parse().unwrap(),
            source: "klout".parse().unwrap(),
            subject: SubjectRef([number; 32]),
        }
    }

    #[test]
    fn what_was_written_again_meanwhile_is_not_settled() {
        let pending = Pending::new(10, SignedDuration::from_secs(5));
        pending.insert(&[key(1), key(2)], from_seconds(0));
        let turn = pending.turn();
        pending.insert(&[key(1)], from_seconds(0));
        pending.settle(&[key(1), key(2), key(3)], turn);
        assert_eq!((pending.holds(&key(1)), pending.holds(&key(2))), (true, false));
        assert_eq!(pending.list(10, from_seconds(1)), [key(1)]);
        pending.settle(&[key(1)], pending.turn());
        assert!(!pending.holds(&key(1)) && pending.list(10, from_seconds(1)).is_empty());
    }

    #[test]
    fn past_its_bound_nothing_older_is_believed() {
        let pending = Pending::new(2, SignedDuration::from_secs(5));
        pending.insert(&[key(1), key(2)], from_seconds(10));
        assert!(!pending.distrusts(from_seconds(9)));
        pending.insert(&[key(3)], from_seconds(11));
        assert!(!pending.holds(&key(1)), "the keys are given up");
        assert!(pending.distrusts(from_seconds(11)) && !pending.distrusts(from_seconds(12)));
        pending.insert(&[key(4)], from_seconds(12));
        assert!(pending.holds(&key(4)) && pending.distrusts(from_seconds(11)), "and the next are kept again");
        pending.settle(&[key(4)], pending.turn());
        assert!(pending.distrusts(from_seconds(11)));
    }

    #[test]
    fn what_is_too_old_to_be_believed_anyway_is_forgotten() {
        let pending = Pending::new(2, SignedDuration::from_secs(5));
        pending.insert(&[key(1), key(2), key(3)], from_seconds(0));
        pending.insert(&[key(4)], from_seconds(1));
        assert_eq!(pending.list(10, from_seconds(6)), [key(4)]);
        assert!(!pending.distrusts(from_seconds(0)));
        assert!(pending.list(10, from_seconds(7)).is_empty() && !pending.holds(&key(4)));
    }
}
