//! Uses that are counted one by one: how many still count, and when there is room again.

use std::collections::BTreeMap;

/// The uses of one rolling or concurrent counter.
///
/// Each stands at a position: the instant at which it was used (rolling), or at which it stops
/// counting (concurrent); in microseconds. Those behind the horizon have lapsed. The sum stands for
/// all beyond it, whether they are known one by one or not, so that a counter with a million uses
/// needs only those that the horizon passes over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses<G: Ord> {
    sum: u64,
    horizon: i64,
    known: BTreeMap<(i64, G), u64>,
}

impl<G: Ord + Clone> Uses<G> {
    /// A counter whose uses beyond `horizon` add up to `sum`; none is known one by one yet.
    pub const fn new(sum: u64, horizon: i64) -> Self {
        Self { sum, horizon, known: BTreeMap::new() }
    }

    /// What counts now.
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// Behind which uses have lapsed.
    pub const fn horizon(&self) -> i64 {
        self.horizon
    }

    /// Names a use that the sum holds already.
    pub fn know(&mut self, at: i64, grant: G, cost: u64) {
        self.known.insert((at, grant), cost);
    }

    /// Adds one.
    pub fn add(&mut self, at: i64, grant: G, cost: u64) {
        if at > self.horizon {
            self.sum = self.sum.saturating_add(cost);
        }
        self.known.insert((at, grant), cost);
    }

    /// Takes one away; what it cost, if it was known.
    pub fn remove(&mut self, at: i64, grant: G) -> Option<u64> {
        let cost = self.known.remove(&(at, grant))?;
        if at > self.horizon {
            self.sum = self.sum.saturating_sub(cost);
        }
        Some(cost)
    }

    /// Moves the horizon, in either direction; every use between the old and the new must be known.
    pub fn move_to(&mut self, horizon: i64) {
        let between = |from: i64, to: i64| {
            let passed = self.known.iter().skip_while(move |((at, _), _)| *at <= from);
            passed.take_while(move |((at, _), _)| *at <= to).fold(0_u64, |sum, (_, cost)| sum.saturating_add(*cost))
        };
        self.sum = if horizon > self.horizon {
            self.sum.saturating_sub(between(self.horizon, horizon))
        } else {
            self.sum.saturating_add(between(horizon, self.horizon))
        };
        self.horizon = horizon;
    }

    /// Forgets those that stand at or behind `position`: the horizon will not go back there.
    pub fn forget(&mut self, position: i64) {
        while self.known.first_key_value().is_some_and(|((at, _), _)| *at <= position) {
            self.known.pop_first();
        }
    }

    /// The position of the use that lapses next.
    pub fn next_lapse(&self) -> Option<i64> {
        self.beyond().next().map(|((at, _), _)| *at)
    }

    /// The position which the horizon must reach for `cost` more to fit under `max`.
    pub fn room_at(&self, cost: u64, max: u64) -> Option<i64> {
        let mut left = self.sum;
        for ((at, _), used) in self.beyond() {
            left = left.saturating_sub(*used);
            if left.saturating_add(cost) <= max {
                return Some(*at);
            }
        }
        None
    }

    fn beyond(&self) -> impl Iterator<Item = (&(i64, G), &u64)> {
        self.known.iter().skip_while(|((at, _), _)| *at <= self.horizon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_horizon_takes_uses_off_the_sum_and_brings_them_back() {
        let mut uses = Uses::new(0, 0);
        for (at, cost) in [(10, 1), (20, 2), (30, 4)] {
            uses.add(at, at, cost);
        }
        assert_eq!((uses.sum(), uses.next_lapse()), (7, Some(10)));
        uses.move_to(20);
        assert_eq!((uses.sum(), uses.next_lapse()), (4, Some(30)));
        uses.move_to(9);
        assert_eq!(uses.sum(), 7);
        uses.move_to(30);
        assert_eq!((uses.sum(), uses.next_lapse()), (0, None));
    }

    #[test]
    fn room_comes_when_enough_has_lapsed() {
        let mut uses = Uses::new(0, 0);
        for (at, cost) in [(10, 1), (20, 2), (30, 4)] {
            uses.add(at, at, cost);
        }
        assert_eq!(uses.room_at(1, 7), Some(10));
        assert_eq!(uses.room_at(2, 7), Some(20));
        assert_eq!(uses.room_at(7, 7), Some(30));
        assert_eq!(uses.room_at(8, 7), None);
    }

    #[test]
    fn what_has_lapsed_is_not_taken_off_twice() {
        let mut uses = Uses::new(0, 0);
        uses.add(10, "a", 1);
        uses.add(20, "b", 2);
        uses.move_to(10);
        assert_eq!(uses.remove(10, "a"), Some(1));
        assert_eq!(uses.remove(10, "a"), None);
        assert_eq!(uses.sum(), 2);
        uses.add(5, "late", 3);
        assert_eq!(uses.sum(), 2, "it stands behind the horizon");
        uses.forget(10);
        uses.move_to(0);
        assert_eq!(uses.sum(), 2, "what was forgotten stays away");
    }
}
