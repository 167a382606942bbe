//! A population that was made up, for fitting and trying models out: the same people for the same seed, on any machine.
//!
//! Nobody publishes the real distribution of what people do on five networks. Here few have very much: a person's standing
//! goes by 1/rank, as followers do on every network that was ever counted, and what others do for them goes with it
//! unevenly. A model that is fitted on these people says so, and is to be fitted again on real ones.

use jiff::Timestamp;

use super::observation::Observation;

/// A network that people may be on: how many of a hundred are, and its signals.
struct Made {
    network: &'static str,
    percent: u64,
    level: &'static str,
    /// Counts, with the people who act for each thousand of standing.
    counts: &'static [(&'static str, u64)],
    /// Running counts of objects, with the acts for each thousand of standing.
    totals: &'static [(&'static str, u64)],
}

const NETWORKS: [Made; 5] = [
    Made {
        network: "bluesky",
        percent: 55,
        level: "followers",
        counts: &[("repost", 30), ("reply", 40), ("quote", 8)],
        totals: &[("like_count", 900)],
    },
    Made {
        network: "mastodon",
        percent: 25,
        level: "followers",
        counts: &[("boost", 45), ("reply", 50)],
        totals: &[("favourites_count", 700)],
    },
    Made {
        network: "youtube",
        percent: 20,
        level: "subscribers",
        counts: &[("comment", 20)],
        totals: &[("view_count", 40_000), ("like_count", 1_500)],
    },
    Made {
        network: "github",
        percent: 20,
        level: "followers",
        counts: &[("star", 60), ("fork", 12), ("issue_opened", 15)],
        totals: &[("release_downloads", 2_000)],
    },
    Made {
        network: "stack-exchange",
        percent: 15,
        level: "reputation",
        counts: &[("upvote_answer", 12), ("accept", 2)],
        totals: &[("question_views", 3_000)],
    },
];

/// People beyond so many of one signal are made as a running count: nobody lists them.
const MOST_NAMED: u64 = 250;

/// The objects of one person on one network, at most.
const MOST_OBJECTS: u64 = 12;

/// Whole pseudo-random numbers (splitmix64, Steele, Lea and Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A number that is at least n for one of n: few are large.
    fn rank(&mut self) -> u64 {
        let ticket = (self.next() >> 32).max(1);
        (1_u64 << 32) / ticket
    }
}

/// The observations of the `nth` person of the population of this seed, as they stand at `now`.
#[must_use]
pub fn person(seed: u64, nth: u64, now: Timestamp) -> Vec<Observation> {
    let mut numbers = Numbers(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let fame = 10 * numbers.rank().min(200_000);
    let mut observations = Vec::new();
    let chosen = numbers.below(100);
    for (at, made) in NETWORKS.iter().enumerate() {
        // Everyone is on one, by the first draw; on others by their own.
        let is_there = numbers.below(100) < made.percent || at == 0 && chosen < made.percent;
        if is_there {
            on_network(made, fame, &mut numbers, now, &mut observations);
        }
    }
    observations
}

fn on_network(made: &Made, fame: u64, numbers: &mut Numbers, now: Timestamp, observations: &mut Vec<Observation>) {
    let ago = |days: u64| now - jiff::SignedDuration::from_hours(24 * i64::try_from(days).unwrap_or(0));
    let mut see = |signal: &str, days: u64, by: Option<u64>, object: Option<u64>, value: Option<u64>| {
        observations.push(Observation {
            network: made.network.to_owned(),
            signal: signal.to_owned(),
            at: ago(days),
            seen_at: now,
            by: by.map(|by| format!("p{by}")),
            object: object.map(|object| format!("o{object}")),
            value,
        });
    };
    // Standing and what it brings go together, but not evenly.
    let standing = fame * (1 + numbers.below(60)) / 10 + numbers.below(40);
    see(made.level, 0, None, None, Some(standing));
    let activity = numbers.below(5);
    let objects = 1 + numbers.below(MOST_OBJECTS);
    for (signal, rate) in made.counts {
        let many = standing * rate * activity / 2_000 + numbers.below(2) * activity.min(1);
        for by in 0..many.min(MOST_NAMED) {
            let days = numbers.below(100);
            see(signal, days, Some(by), Some(numbers.below(objects)), Some(1 + numbers.below(2)));
        }
    }
    for (signal, rate) in made.totals {
        let all = standing * rate * activity / 2_000;
        for object in 0..objects.min(1 + all) {
            let days = numbers.below(100);
            let value = all / objects + numbers.below(1 + all / objects);
            see(signal, days, None, Some(object), Some(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::activity::gather;
    use crate::scoring::catalog;
    use crate::scoring::observation::day_of;

    #[test]
    fn the_same_people_are_made_again_and_no_two_are_alike() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        assert_eq!(person(1, 7, now), person(1, 7, now));
        assert_ne!(person(1, 7, now), person(1, 8, now));
        assert_ne!(person(1, 7, now), person(2, 7, now));
    }

    #[test]
    fn few_have_much_and_every_signal_is_known() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let people: Vec<_> = (0..2_000).map(|nth| person(1, nth, now)).collect();
        for observation in people.iter().flatten() {
            assert!(catalog::find(&observation.network, &observation.signal).is_ok(), "{observation:?}");
        }
        let engagers = people.iter().map(|it| gather(it, day_of(now)).engagers);
        let mut engagers: Vec<u64> = engagers.collect();
        engagers.sort_unstable();
        assert!(engagers[1_000] < 20 && engagers[1_990] > 50, "{} {}", engagers[1_000], engagers[1_990]);
    }
}
