//! How far people's scores may move at once before a person looks, and how far they do.

use std::collections::HashMap;

use crate::foundation::decimal::Decimal;
use crate::scores::score::Source;

/// The people with a score who must be compared before anything is held: of a few, each moves a large share.
pub const FLOOR: u64 = 50;

/// The share of people, in thousandths, of a source whose guard nobody has set.
const SHARE: i64 = 200;

/// The thousandths of a whole, of which a share is one.
const WHOLE: i64 = 1_000;

/// A source's guard: what moves more than this share of people by more than these points waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// From 0 to 1; at 1 nothing is ever held.
    pub share: Decimal,
    pub points: Decimal,
}

/// Why a guard can't be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GuardFault {
    #[error("the share of people is from 0 to 1; at 1 nothing is ever held")]
    Share,
    #[error("points are 0 or more")]
    Points,
}

/// How far people's scores move together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moves {
    /// Number of people whose score is replaced, or comes again.
    pub compared: u64,
    /// Number of people whose score rises by more than the guard's points, and of those whose score falls so.
    pub up: u64,
    pub down: u64,
    /// The largest move, whichever way.
    pub largest: Decimal,
    /// The score that most of those who move would have, and how many they are.
    pub common: Option<(Decimal, u64)>,
}

/// Moves as they are counted, one person after the other.
#[derive(Debug, Default)]
pub(in crate::scores) struct Counted {
    moves: Moves,
    values: HashMap<Decimal, u64>,
}

impl Guard {
    /// # Errors
    /// [`GuardFault`].
    pub fn new(share: Decimal, points: Decimal) -> Result<Self, GuardFault> {
        if share < Decimal::default() || share > Decimal::from_thousandths(WHOLE) {
            Err(GuardFault::Share)
        } else if points < Decimal::default() {
            Err(GuardFault::Points)
        } else {
            Ok(Self { share, points })
        }
    }

    /// The guard of a source that has none of its own: a fifth of the people, by a tenth of the scale.
    #[must_use]
    pub fn of_scale(source: &Source) -> Self {
        let scale = source.maximum.minus(source.minimum);
        Self { share: Decimal::from_thousandths(SHARE), points: Decimal::from_thousandths(scale.thousandths() / 10) }
    }

    /// True if nothing is ever held.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.share.thousandths() >= WHOLE
    }

    /// True if these moves wait for a person.
    #[must_use]
    pub fn holds(&self, moves: &Moves) -> bool {
        let (far, of) = (i128::from(moves.moved()), i128::from(moves.compared));
        let share = i128::from(self.share.thousandths());
        moves.compared >= FLOOR && far * i128::from(WHOLE) > share * of
    }
}

impl Moves {
    /// Number of people who move by more than the guard's points.
    #[must_use]
    pub const fn moved(&self) -> u64 {
        self.up + self.down
    }
}

impl Counted {
    /// Counts a person whose score was `before`.
    pub(in crate::scores) fn add(&mut self, guard: &Guard, before: Decimal, after: Decimal) {
        self.moves.compared += 1;
        let by = after.minus(before);
        let size = Decimal::from_thousandths(by.thousandths().abs());
        self.moves.largest = self.moves.largest.max(size);
        if size > guard.points {
            if by > Decimal::default() {
                self.moves.up += 1;
            } else {
                self.moves.down += 1;
            }
            *self.values.entry(after).or_default() += 1;
        }
    }

    /// The counts.
    pub(in crate::scores) fn moves(&self) -> Moves {
        let common = self.values.iter().max_by_key(|(value, people)| (**people, std::cmp::Reverse(**value)));
        Moves { common: common.map(|(value, people)| (*value, *people)), ..self.moves }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(share: &str, points: &str) -> Guard {
        Guard::new(share.parse().unwrap(), points.parse().unwrap()).unwrap()
    }

    fn counted(guard: &Guard, still: u64, moved: u64) -> Moves {
        let mut counted = Counted::default();
        for _ in 0..still {
            counted.add(guard, Decimal::from_whole(40), Decimal::from_whole(50));
        }
        for nth in 0..moved {
            let before = Decimal::from_whole(30 + i64::try_from(nth % 20).unwrap());
            counted.add(guard, before, Decimal::from_whole(1));
        }
        counted.moves()
    }

    #[test]
    fn more_than_a_share_by_more_than_the_points_is_held() {
        let guard = guard("0.2", "10");
        let night = counted(&guard, 0, 1_000);
        assert!(guard.holds(&night));
        assert_eq!((night.down, night.up, night.largest), (1_000, 0, Decimal::from_whole(48)));
        assert_eq!(night.common, Some((Decimal::from_whole(1), 1_000)));
        assert!(!guard.holds(&counted(&guard, 80, 20)), "a fifth is not more than a fifth");
        assert!(guard.holds(&counted(&guard, 79, 21)));
        assert!(!guard.holds(&counted(&guard, 1_000, 0)), "ten points are not more than ten");
    }

    #[test]
    fn a_few_people_are_never_held() {
        let guard = guard("0", "0");
        assert!(!guard.holds(&counted(&guard, 0, FLOOR - 1)));
        assert!(guard.holds(&counted(&guard, 0, FLOOR)));
        assert!(!guard.holds(&Moves::default()));
    }

    #[test]
    fn an_open_guard_holds_nothing() {
        let open = guard("1", "0");
        assert!(open.is_open() && !open.holds(&counted(&open, 0, 1_000)));
        assert_eq!(Guard::new("1.001".parse().unwrap(), Decimal::default()), Err(GuardFault::Share));
        assert_eq!(Guard::new("-0.001".parse().unwrap(), Decimal::default()), Err(GuardFault::Share));
        assert_eq!(Guard::new(Decimal::default(), "-1".parse().unwrap()), Err(GuardFault::Points));
    }

    #[test]
    fn a_source_without_one_is_guarded_by_its_scale() {
        let klout = Guard::of_scale(&Source::klout());
        assert_eq!((klout.share, klout.points), ("0.2".parse().unwrap(), Decimal::from_whole(10)));
    }
}
