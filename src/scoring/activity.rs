//! The sum of a person's observations on a day, as far as a model looks at it.
//!
//! This is the rule that defines it. A database that gathers by itself must come to the same, byte for byte.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{self, Direction, SignalKind};
use super::logarithm::weight;
use super::observation::{LIFE, Observation, day_of, quarters};

/// The most acts of one person on one day that count, of a signal.
const MOST_A_DAY: u64 = 3;

/// The objects that are looked at: those that were noticed most.
pub const OBJECTS: usize = 20;

/// Where a signal stands: its network and its name.
pub type SignalKey = (String, String);

/// All that counts of one signal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gathered {
    /// Number of people who acted, by the quarters that their acts add up to.
    pub people: BTreeMap<u64, u64>,
    /// Running counts of objects, by the quarters that an act of their age has: of whom is not known.
    pub unnamed: BTreeMap<u64, u128>,
    /// The objects that were noticed most, at most [`OBJECTS`], the largest first: their acts in eighths (half quarters).
    pub objects: Vec<u128>,
    /// The level of the account.
    pub level: Option<u64>,
}

/// One person's signals from others. Empty where nothing counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Activity {
    pub signals: BTreeMap<SignalKey, Gathered>,
    /// Number of days on which others acted.
    pub days: u64,
    /// Number of different people who acted, as far as they are known; one of two networks is two.
    pub engagers: u64,
}

impl Gathered {
    /// The people who acted, each by the logarithm of their acts, in 65,536ths; a running count has half as much weight as
    /// so many people with one act each, as it doesn't say who they were.
    #[must_use]
    pub fn breadth(&self) -> u128 {
        let people =
            self.people.iter().map(|(quarters, many)| u128::from(weight(u128::from(*quarters))) * u128::from(*many));
        let unnamed = self.unnamed.iter().map(|(quarters, many)| u128::from(weight(u128::from(*quarters))) * many);
        people.sum::<u128>() + unnamed.sum::<u128>() / 2
    }

    /// The acts on the objects that were noticed most, in eighths.
    #[must_use]
    pub fn peak(&self) -> u128 {
        self.objects.iter().sum()
    }

    fn counts_for_nothing(&self) -> bool {
        self.level.is_none() && self.people.is_empty() && self.unnamed.is_empty() && self.objects.is_empty()
    }

    /// Adds people who act once each, today, on one new object.
    pub(super) fn add_people(&mut self, many: u64) {
        *self.people.entry(quarters(0)).or_default() += many;
        self.objects.push(2 * u128::from(quarters(0)) * u128::from(many));
        self.objects.sort_unstable_by(|one, other| other.cmp(one));
        self.objects.truncate(OBJECTS);
    }
}

/// By whom it was done, and the quarters of one's acts: at most so many a day count.
#[derive(Default)]
struct Acts<'a>(BTreeMap<&'a str, BTreeMap<i64, u64>>);

impl<'a> Acts<'a> {
    fn add(&mut self, by: &'a str, day: i64, times: u64) {
        let times_that_day = self.0.entry(by).or_default().entry(day).or_default();
        *times_that_day = times_that_day.saturating_add(times).min(MOST_A_DAY);
    }

    /// The quarters of each one's acts.
    fn quarters(&self, today: i64) -> impl Iterator<Item = u64> {
        self.0.values().map(move |days| days.iter().map(|(day, times)| quarters(today - day) * times).sum())
    }
}

/// An observation that stands until a later one of the same thing; of two at once the larger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    as_of: jiff::Timestamp,
    day: i64,
    value: u64,
}

fn keep_later<K: Ord>(seen: &mut BTreeMap<K, Seen>, key: K, it: Seen) {
    let kept = seen.entry(key).or_insert(it);
    *kept = it.max(*kept);
}

#[derive(Default)]
struct OfSignal<'a> {
    acts: Acts<'a>,
    by_object: BTreeMap<&'a str, Acts<'a>>,
    totals: BTreeMap<&'a str, Seen>,
    level: BTreeMap<(), Seen>,
}

/// Gathers the observations of one person as they stand on the UTC day `today`, in any order. What the catalogue doesn't
/// know, what the person did themselves, and what is older than its time says nothing.
#[must_use]
pub fn gather<'a>(observations: impl IntoIterator<Item = &'a Observation>, today: i64) -> Activity {
    let mut of: BTreeMap<(&str, &str), OfSignal<'_>> = BTreeMap::new();
    let (mut days, mut engagers) = (BTreeSet::new(), BTreeSet::new());
    for it in observations {
        let Ok(signal) = catalog::find(&it.network, &it.signal) else { continue };
        if signal.direction == Direction::Out {
            continue;
        }
        let day = day_of(it.at);
        let known = of.entry((&it.network, &it.signal)).or_default();
        let seen = Seen { as_of: it.seen_at, day, value: it.value.unwrap_or(0) };
        match (signal.kind, it.object.as_deref(), it.by.as_deref()) {
            (SignalKind::Count, object, Some(by)) if today - day < LIFE => {
                let times = it.value.unwrap_or(1);
                known.acts.add(by, day, times);
                if let Some(object) = object {
                    known.by_object.entry(object).or_default().add(by, day, times);
                }
                days.insert(day);
                engagers.insert((&*it.network, by));
            }
            (SignalKind::Count, ..) => {}
            (SignalKind::Total, Some(object), _) => keep_later(&mut known.totals, object, seen),
            (SignalKind::Total, None, _) | (SignalKind::Gauge, ..) => keep_later(&mut known.level, (), seen),
        }
    }
    let mut signals = BTreeMap::new();
    for ((network, name), known) in of {
        let gathered = known.gathered(today, &mut days);
        if !gathered.counts_for_nothing() {
            signals.insert((network.to_owned(), name.to_owned()), gathered);
        }
    }
    Activity { signals, days: days.len() as u64, engagers: engagers.len() as u64 }
}

impl OfSignal<'_> {
    fn gathered(self, today: i64, days: &mut BTreeSet<i64>) -> Gathered {
        let mut gathered = Gathered::default();
        for quarters in self.acts.quarters(today).filter(|quarters| *quarters > 0) {
            *gathered.people.entry(quarters).or_default() += 1;
        }
        for acts in self.by_object.values() {
            gathered.objects.push(2 * acts.quarters(today).map(u128::from).sum::<u128>());
        }
        for total in self.totals.values() {
            let quarters = quarters(today - total.day);
            if quarters > 0 && total.value > 0 {
                *gathered.unnamed.entry(quarters).or_default() += u128::from(total.value);
                gathered.objects.push(u128::from(quarters) * u128::from(total.value));
                days.insert(total.day);
            }
        }
        gathered.objects.retain(|acts| *acts > 0);
        gathered.objects.sort_unstable_by(|one, other| other.cmp(one));
        gathered.objects.truncate(OBJECTS);
        gathered.level = self.level.values().filter(|it| today - it.day < LIFE).map(|it| it.value).next();
        gathered
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::scoring::logarithm::ONE;

    /// An observation of day `day`: `network/signal[ by][ #object][ =value]`.
    pub(crate) fn seen(day: i64, text: &str) -> Observation {
        let mut parts = text.split(' ');
        let (network, signal) = parts.next().unwrap().split_once('/').unwrap();
        let at = jiff::Timestamp::from_second(day * 86_400 + 43_200).unwrap();
        let mut it = Observation {
            network: network.to_owned(),
            signal: signal.to_owned(),
            at,
            seen_at: at,
            by: None,
            object: None,
            value: None,
        };
        for part in parts {
            match (part.strip_prefix('#'), part.strip_prefix('=')) {
                (Some(object), _) => it.object = Some(object.to_owned()),
                (_, Some(value)) => it.value = Some(value.parse().unwrap()),
                _ => it.by = Some(part.to_owned()),
            }
        }
        it
    }

    fn of(observations: &[Observation], today: i64, signal: &str) -> Gathered {
        let (network, name) = signal.split_once('/').unwrap();
        let activity = gather(observations, today);
        activity.signals.get(&(network.to_owned(), name.to_owned())).cloned().unwrap_or_default()
    }

    #[test]
    fn a_person_s_day_is_capped_and_days_add_up() {
        let acts: Vec<_> = (0..10).map(|_| seen(100, "bluesky/like ann #p")).collect();
        assert_eq!(of(&acts, 100, "bluesky/like").people, BTreeMap::from([(12, 1)]));
        let many = [seen(100, "bluesky/like ann =50"), seen(80, "bluesky/like ann"), seen(100, "bluesky/like bob")];
        // Three of today, and one of twenty days ago; one of today.
        assert_eq!(of(&many, 100, "bluesky/like").people, BTreeMap::from([(15, 1), (4, 1)]));
        assert_eq!(gather(&many, 100).days, 2);
        assert_eq!(gather(&many, 100).engagers, 2);
        assert_eq!(of(&many, 170, "bluesky/like").people, BTreeMap::from([(3, 1), (1, 1)]));
    }

    #[test]
    fn of_two_observations_the_later_stands_and_of_two_at_once_the_larger() {
        let earlier = seen(100, "github/followers =900");
        let mut later = seen(100, "github/followers =20");
        later.seen_at = seen(101, "github/followers").at;
        for order in [[earlier.clone(), later.clone()], [later, earlier.clone()]] {
            assert_eq!(of(&order, 101, "github/followers").level, Some(20));
        }
        let at_once = [earlier.clone(), seen(100, "github/followers =1000")];
        assert_eq!(of(&at_once, 189, "github/followers").level, Some(1_000));
        assert_eq!(of(&at_once, 190, "github/followers"), Gathered::default());
    }

    #[test]
    fn a_running_count_ages_with_its_object_and_weighs_half() {
        let mut falls = seen(100, "bluesky/like_count #p =8");
        falls.seen_at = seen(110, "bluesky/like_count").at;
        let counts = [seen(100, "bluesky/like_count #p =10"), falls, seen(60, "bluesky/like_count #q =100")];
        let gathered = of(&counts, 110, "bluesky/like_count");
        assert_eq!(gathered.unnamed, BTreeMap::from([(3, 8), (2, 100)]));
        assert_eq!(gathered.objects, [200, 24]);
        let all = 8 * u128::from(weight(3)) + 100 * u128::from(weight(2));
        assert_eq!(gathered.breadth() * 2, all);
        // As many people, known by name, with one act each on that day.
        let named: Vec<_> = (0..8).map(|nth| seen(110, &format!("bluesky/like p{nth} #p"))).collect();
        assert_eq!(of(&named, 110, "bluesky/like").breadth(), u128::from(8 * ONE));
        let total = of(&[seen(110, "bluesky/like_count #p =8")], 110, "bluesky/like_count");
        assert_eq!((total.breadth(), total.peak()), (u128::from(4 * ONE), 32));
    }

    #[test]
    fn a_total_of_the_account_is_a_level() {
        let total = of(&[seen(110, "youtube/channel_views =1000000")], 110, "youtube/channel_views");
        assert_eq!((total.level, total.breadth()), (Some(1_000_000), 0));
    }

    #[test]
    fn only_the_objects_that_were_noticed_most_are_looked_at() {
        let mut acts = Vec::new();
        for object in 0..30 {
            acts.extend((0..=object).map(|by| seen(100, &format!("x/retweet b{by} #o{object}"))));
        }
        let gathered = of(&acts, 100, "x/retweet");
        assert_eq!(gathered.objects.len(), OBJECTS);
        assert_eq!((gathered.objects[0], gathered.objects[19]), (8 * 30, 8 * 11));
    }

    #[test]
    fn own_acts_unknown_signals_and_what_is_too_old_say_nothing() {
        let nothing = [
            seen(100, "bluesky/post_made #p"),
            seen(100, "bluesky/likes ann"),
            seen(100, "nowhere/like ann"),
            seen(100, "bluesky/like"),
            seen(10, "bluesky/like ann"),
            seen(10, "bluesky/followers =10"),
            seen(10, "bluesky/like_count #p =10"),
        ];
        assert_eq!(gather(&nothing, 100), Activity::default());
    }
}
