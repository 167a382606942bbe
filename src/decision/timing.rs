//! The truth of conditions as time goes on: when time windows are open, and when a truth can turn.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::evaluate::World;
use super::facts::{Value, millionths};
use crate::rules::attribute::{Attribute, PassField};
use crate::rules::condition::Condition;
use crate::rules::leaf::{Leaf, Test};
use crate::rules::time_window::TimeWindow;

/// Number of midnights that are looked at: those of two weeks.
pub(super) const DAYS_AHEAD: usize = 15;

/// Why now is not in a time window: before it, or after it and for good. The earliest to open comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Missed {
    Early { opens: Timestamp },
    Late,
}

impl World<'_> {
    /// The first and the last instant of a time window around an attribute. None where that is no instant, or the one
    /// that it opens by is there and is none.
    pub(crate) fn edges(self, attribute: &Attribute, window: &TimeWindow) -> Option<(Timestamp, Timestamp)> {
        let opens_by = window.opens_by.as_ref().filter(|other| self.value(other).is_some());
        let opens_by = match opens_by {
            Some(other) => Some(self.facts.instant(other)?),
            None => None,
        };
        Some(window.edges(self.facts.instant(attribute)?, opens_by))
    }

    /// Why now is not in a time window; none where it is, or that isn't known.
    pub(super) fn missed(self, leaf: &Leaf) -> Option<Missed> {
        let Test::Within(window) = &leaf.test else { return None };
        match self.edges(&leaf.attribute, window)? {
            // One that would close before it opens never does.
            (opens, closes) if closes < self.now || closes < opens => Some(Missed::Late),
            (opens, _) if self.now < opens => Some(Missed::Early { opens }),
            _ => None,
        }
    }

    /// The instants at which the truth of a condition can turn, as time goes on: each the first on its far side.
    pub(crate) fn turning_instants(self, condition: Option<&Condition>, into: &mut BTreeSet<Timestamp>) {
        let Some(condition) = condition else { return };
        let observed = self.score().and(self.facts.score).map(|score| score.observed_at.as_microsecond());
        let mut turns = |micros: i64| into.extend(Timestamp::from_microsecond(micros).ok());
        let at_age = |age: i64| observed.map(|observed| observed.saturating_add(age));
        condition.each_leaf(&mut |leaf| {
            let days = Attribute::BoardingPass(PassField::DaysFromToday);
            if leaf.attribute == days || leaf.test.other() == Some(&days) {
                for at in self.facts.context.midnights(self.now, DAYS_AHEAD) {
                    turns(at.as_microsecond());
                }
            }
            let ages = match (&leaf.attribute, &leaf.test) {
                (attribute, Test::Within(window)) => {
                    if let Some((opens, closes)) = self.edges(attribute, window) {
                        turns(opens.as_microsecond());
                        turns(closes.as_microsecond().saturating_add(1));
                    }
                    return;
                }
                (Attribute::ScoreAge, Test::Compares(_, age)) => [Some(millionths(*age)), None],
                (Attribute::ScoreAge, Test::Between(low, high)) => [Some(millionths(*low)), Some(millionths(*high))],
                (Attribute::ScoreAge, Test::Against(_, other)) | (other, Test::Against(_, Attribute::ScoreAge)) => {
                    match self.value(other) {
                        Some(Value::Number(age)) => [Some(age), None],
                        _ => return,
                    }
                }
                _ => return,
            };
            for at in ages.into_iter().flatten().filter_map(at_age) {
                turns(at);
                turns(at.saturating_add(1));
            }
        });
    }
}
