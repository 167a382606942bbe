//! Uses that are counted one by one: how many still count, and when there is room again.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

/// Number of uses beyond the horizon that [`Uses::room_at`] looks at: the largest party has a hundred, so only a
/// limit that was lowered below what is used needs to look further, and then it says that nobody knows.
pub const AHEAD: usize = 128;

/// The uses of one rolling or concurrent counter.
///
/// Each stands at a position: the instant at which it was used (rolling), or at which it stops
/// counting (concurrent); in microseconds. Those behind the horizon have lapsed. The sum stands for
/// all beyond it, whether they are known one by one or not, so that a counter with a million uses
/// needs only those that the horizon passes over.
///
/// A correction of who is inside may cost less than nothing, but takes off no more at a position than stands there: where
/// a use is taken away, it shrinks with it. So the sum is never below zero, wherever the horizon is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses<G> {
    sum: i64,
    horizon: i64,
    /// By position; seldom two at the same.
    known: BTreeMap<i64, Vec<(G, i64)>>,
}

impl<G: PartialEq> Uses<G> {
    /// A counter whose uses beyond `horizon` add up to `sum`; none is known one by one yet.
    pub const fn new(sum: i64, horizon: i64) -> Self {
        Self { sum, horizon, known: BTreeMap::new() }
    }

    /// The sum that counts now.
    pub fn sum(&self) -> u64 {
        u64::try_from(self.sum).unwrap_or(0)
    }

    /// The sum as it is stored.
    pub const fn total(&self) -> i64 {
        self.sum
    }

    /// Behind which uses have lapsed.
    pub const fn horizon(&self) -> i64 {
        self.horizon
    }

    /// Names a use that the sum holds already.
    pub fn know(&mut self, at: i64, grant: G, cost: i64) {
        let here = self.known.entry(at).or_default();
        if !here.iter().any(|(known, _)| *known == grant) {
            here.push((grant, cost));
        }
    }

    /// Adds one.
    pub fn add(&mut self, at: i64, grant: G, cost: i64) {
        if at > self.horizon {
            self.sum = self.sum.saturating_add(cost);
        }
        self.known.entry(at).or_default().push((grant, cost));
    }

    /// Takes one away, if it is known.
    pub fn remove(&mut self, at: i64, grant: &G) {
        let Some(here) = self.known.get_mut(&at) else { return };
        let Some(nth) = here.iter().position(|(known, _)| known == grant) else { return };
        let (_, cost) = here.swap_remove(nth);
        if here.is_empty() {
            self.known.remove(&at);
        }
        if at > self.horizon {
            self.sum = self.sum.saturating_sub(cost);
        }
    }

    /// The known uses at a position, together.
    pub fn sum_at(&self, at: i64) -> i64 {
        self.known.get(&at).into_iter().flatten().fold(0_i64, |sum, (_, cost)| sum.saturating_add(*cost))
    }

    /// Lets corrections at a position, all of whose uses are known, take off no more than is left there.
    pub fn shrink_corrections(&mut self, at: i64) {
        let beyond = self.sum_at(at).min(0).saturating_neg();
        let mut left = beyond;
        for (_, cost) in self.known.get_mut(&at).into_iter().flatten().filter(|(_, cost)| *cost < 0) {
            let shrunk = cost.saturating_add(left).min(0);
            left = left.saturating_sub(shrunk.saturating_sub(*cost));
            *cost = shrunk;
        }
        if at > self.horizon {
            self.sum = self.sum.saturating_add(beyond);
        }
    }

    /// Moves the horizon, in either direction; every use between the old and the new must be known.
    pub fn move_to(&mut self, horizon: i64) {
        let between = |from: i64, to: i64| {
            let passed = self.known.range((Excluded(from), Included(to))).flat_map(|(_, here)| here);
            passed.fold(0_i64, |sum, (_, cost)| sum.saturating_add(*cost))
        };
        match horizon.cmp(&self.horizon) {
            Ordering::Greater => self.sum = self.sum.saturating_sub(between(self.horizon, horizon)),
            Ordering::Less => self.sum = self.sum.saturating_add(between(horizon, self.horizon)),
            Ordering::Equal => {}
        }
        self.horizon = horizon;
    }

    /// The position of the use that lapses next.
    pub fn next_lapse(&self) -> Option<i64> {
        self.known.range((Excluded(self.horizon), Unbounded)).next().map(|(at, _)| *at)
    }

    /// The position which the horizon must reach for `cost` more to fit under `max`, if no more than
    /// about [`AHEAD`] uses have to lapse for it.
    pub fn room_at(&self, cost: u64, max: u64) -> Option<i64> {
        let mut left = self.sum;
        let mut seen = 0;
        let beyond = self.known.range((Excluded(self.horizon), Unbounded)).take_while(|(_, here)| {
            let is_near = seen < AHEAD;
            seen += here.len();
            is_near
        });
        beyond.into_iter().find_map(|(at, here)| {
            left = here.iter().fold(left, |left, (_, used)| left.saturating_sub(*used));
            (u64::try_from(left).unwrap_or(0).saturating_add(cost) <= max).then_some(*at)
        })
    }

    /// Forgets those at or behind the horizon, which then can't go back any more.
    pub fn forget_lapsed(&mut self) {
        self.known = self.known.split_off(&self.horizon.saturating_add(1));
    }

    /// Tells whether no use is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
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
    fn room_is_looked_for_only_so_far() {
        let mut uses = Uses::new(0, 0);
        for at in 1..=200 {
            uses.add(at, at, 1);
        }
        let ahead = u64::try_from(AHEAD).unwrap();
        assert_eq!(uses.room_at(1, 201 - ahead), Some(i64::try_from(AHEAD).unwrap()));
        assert_eq!(uses.room_at(1, 200 - ahead), None);
    }

    #[test]
    fn what_has_lapsed_can_be_forgotten() {
        let mut uses = Uses::new(0, 0);
        uses.add(10, "a", 1);
        uses.add(20, "b", 2);
        uses.move_to(10);
        uses.forget_lapsed();
        assert_eq!((uses.sum(), uses.is_empty()), (2, false));
        uses.move_to(20);
        uses.forget_lapsed();
        assert_eq!((uses.sum(), uses.is_empty()), (0, true));
    }

    #[test]
    fn what_has_lapsed_is_not_taken_off_twice() {
        let mut uses = Uses::new(0, 0);
        uses.add(10, "a", 1);
        uses.add(20, "b", 2);
        uses.move_to(10);
        uses.remove(10, &"a");
        uses.remove(10, &"a");
        assert_eq!(uses.sum(), 2);
        uses.know(20, "b", 2);
        uses.remove(20, &"b");
        assert_eq!(uses.sum(), 0, "it was known once");
        uses.add(20, "b", 2);
        uses.add(5, "late", 3);
        assert_eq!(uses.sum(), 2, "it stands behind the horizon");
        uses.move_to(4);
        assert_eq!(uses.sum(), 5);
    }

    #[test]
    fn what_is_taken_off_lapses_with_it_and_is_not_taken_off_twice() {
        let mut uses = Uses::new(0, 0);
        uses.add(10, "a", 2);
        uses.add(30, "b", 1);
        uses.add(10, "fewer", -1);
        uses.add(10, "fewer still", -1);
        assert_eq!((uses.sum(), uses.room_at(1, 1)), (1, Some(30)));
        uses.remove(10, &"a");
        assert_eq!(uses.total(), -1, "until the corrections shrink");
        uses.shrink_corrections(10);
        assert_eq!((uses.total(), uses.sum_at(10)), (1, 0));
        uses.shrink_corrections(10);
        uses.shrink_corrections(30);
        uses.move_to(10);
        assert_eq!(uses.total(), 1);
        uses.move_to(9);
        assert_eq!(uses.total(), 1);
    }
}
