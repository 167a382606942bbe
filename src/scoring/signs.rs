//! Signs that a person's activity may be made up: one who does most of it, or one day on which most of it was done.
//!
//! They lower nothing: the formula has its own answers, as a day of one person is capped and many count far more than one.
//! They are shown, so that who reads a score can look.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{self, Direction, SignalKind};
use super::observation::{LIFE, Observation, date_of, day_of};

/// The acts of a signal from which one person's share says something, and from which a day's does.
const LEAST_OF_ONE: u64 = 10;
const LEAST_OF_A_DAY: u64 = 20;

/// The share, in hundredths, from which one person's acts are shown, and from which those of a day are.
const SHARE_OF_ONE: u64 = 33;
const SHARE_OF_A_DAY: u64 = 50;

/// No delivery counts as more acts than this: sums remain far from any bound.
pub const MOST_ACTS: u64 = 1_000_000;

/// How the acts of one signal fall to people and days.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    pub network: String,
    pub signal: String,
    /// Number of acts in 90 days, those of unknown people too.
    pub acts: u64,
    /// Number of people who acted, and the acts of the one who did most.
    pub engagers: u64,
    pub of_one: u64,
    /// The acts of the fullest day, and the UTC day from 1970.
    pub of_a_day: u64,
    pub day: i64,
}

/// The kind of a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignKind {
    OneEngager,
    Burst,
}

impl SignKind {
    pub const ALL: [Self; 2] = [Self::OneEngager, Self::Burst];

    /// The wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneEngager => "one_engager",
            Self::Burst => "burst",
        }
    }
}

/// Something that is worth a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    pub kind: SignKind,
    pub network: String,
    pub signal: String,
    /// In hundredths, rounded down.
    pub share: u64,
    pub acts: u64,
    /// The day of a burst.
    pub day: Option<i64>,
}

impl Sign {
    /// The sign in words.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { network, signal, share, acts, .. } = self;
        match self.day {
            Some(day) => format!("{share}% of the {acts} {signal}s on {network} in 90 days came on {}", date_of(day)),
            None => format!("one person made {share}% of the {acts} {signal}s on {network} in 90 days"),
        }
    }
}

/// The signs in these shapes, the largest share first.
#[must_use]
pub fn signs(shapes: &[Shape]) -> Vec<Sign> {
    let mut found = Vec::new();
    for shape in shapes {
        let share = |of: u64| of.saturating_mul(100) / shape.acts.max(1);
        let sign = |kind, of, day| Sign {
            kind,
            network: shape.network.clone(),
            signal: shape.signal.clone(),
            share: share(of),
            acts: shape.acts,
            day,
        };
        if shape.acts >= LEAST_OF_ONE && share(shape.of_one) >= SHARE_OF_ONE {
            found.push(sign(SignKind::OneEngager, shape.of_one, None));
        }
        if shape.acts >= LEAST_OF_A_DAY && share(shape.of_a_day) >= SHARE_OF_A_DAY {
            found.push(sign(SignKind::Burst, shape.of_a_day, Some(shape.day)));
        }
    }
    found.sort_by(|one, other| {
        let place = |sign: &Sign| (std::cmp::Reverse(sign.share), sign.network.clone(), sign.signal.clone(), sign.kind);
        place(one).cmp(&place(other))
    });
    found
}

/// The shapes of one person's observations as they stand on the UTC day `today`, by network and signal.
#[must_use]
pub fn shapes<'a>(observations: impl IntoIterator<Item = &'a Observation>, today: i64) -> Vec<Shape> {
    #[derive(Default)]
    struct Acts<'a> {
        by_one: BTreeMap<&'a str, u64>,
        by_day: BTreeMap<i64, u64>,
        all: u64,
    }
    let mut of: BTreeMap<(&str, &str), Acts<'_>> = BTreeMap::new();
    for it in observations {
        let is_given = catalog::find(&it.network, &it.signal)
            .is_ok_and(|signal| signal.kind == SignalKind::Count && signal.direction == Direction::In);
        let day = day_of(it.at);
        if !is_given || today - day >= LIFE {
            continue;
        }
        let times = it.value.unwrap_or(1).min(MOST_ACTS);
        let acts = of.entry((&it.network, &it.signal)).or_default();
        acts.all += times;
        *acts.by_day.entry(day).or_default() += times;
        if let Some(by) = it.by.as_deref() {
            *acts.by_one.entry(by).or_default() += times;
        }
    }
    let shape = |((network, signal), acts): ((&str, &str), Acts<'_>)| {
        // Of two days that are as full the earlier.
        let fullest = acts.by_day.iter().max_by_key(|(day, times)| (**times, std::cmp::Reverse(**day)));
        let (day, of_a_day) = fullest.map_or((0, 0), |(day, times)| (*day, *times));
        Shape {
            network: network.to_owned(),
            signal: signal.to_owned(),
            acts: acts.all,
            engagers: acts.by_one.keys().collect::<BTreeSet<_>>().len() as u64,
            of_one: acts.by_one.values().copied().max().unwrap_or(0),
            of_a_day,
            day,
        }
    };
    of.into_iter().map(shape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::activity::tests::seen;

    const TODAY: i64 = 20_000;

    fn found(observations: &[Observation]) -> Vec<(SignKind, u64, Option<i64>)> {
        signs(&shapes(observations, TODAY)).into_iter().map(|it| (it.kind, it.share, it.day)).collect()
    }

    #[test]
    fn one_who_does_most_of_it_is_shown() {
        let mut all: Vec<Observation> = (0..6).map(|nth| seen(TODAY - 10 * nth, "bluesky/repost ada")).collect();
        assert_eq!(found(&all), [], "six acts say nothing");
        all.extend((0..6).map(|nth| seen(TODAY - 10 * nth, &format!("bluesky/repost fan{nth}"))));
        assert_eq!(found(&all), [(SignKind::OneEngager, 50, None)]);
        let words = signs(&shapes(&all, TODAY)).remove(0).words();
        assert_eq!(words, "one person made 50% of the 12 reposts on bluesky in 90 days");
        all.extend((0..12).map(|nth| seen(TODAY - 7 * nth, &format!("bluesky/repost other{nth}"))));
        assert_eq!(found(&all), [], "a quarter of them is nothing");
    }

    #[test]
    fn a_day_on_which_most_of_it_was_done_is_shown() {
        let mut all: Vec<Observation> = (0..19).map(|nth| seen(TODAY - 3, &format!("bluesky/like fan{nth}"))).collect();
        assert_eq!(found(&all), [], "nineteen acts say nothing");
        all.push(seen(TODAY - 30, "bluesky/like late"));
        assert_eq!(found(&all), [(SignKind::Burst, 95, Some(TODAY - 3))]);
        all.extend((0..20).map(|nth| seen(TODAY - 2 * nth - 5, &format!("bluesky/like more{nth}"))));
        assert_eq!(found(&all), []);
    }

    #[test]
    fn what_is_over_and_what_they_did_themselves_is_no_sign() {
        let old: Vec<Observation> = (0..50).map(|_| seen(TODAY - LIFE, "bluesky/like ada")).collect();
        assert_eq!(found(&old), []);
        let levels = [seen(TODAY, "bluesky/followers =1000000")];
        assert_eq!(found(&levels), []);
    }
}
