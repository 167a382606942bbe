//! A score taken apart: what each signal contributed, to the thousandth, and what a little more would add.
//!
//! The level is homogeneous of degree one in what the networks are made of, so the share of each part along the ray from
//! nothing to what there is (Aumann and Shapley's) is exact: a network's part goes by the square of its strength, and within
//! a network by what each signal makes of it. That holds through the curve, and where the whole is capped.

use super::activity::Activity;
use super::catalog::{self, Direction, SignalKind};
use super::model::{Measure, Model};
use super::score::{Computed, NetworkPart, compute};
use crate::foundation::decimal::Decimal;

/// The points that one measure of a signal contributed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub network: String,
    pub signal: String,
    pub measure: Measure,
    pub points: Decimal,
}

/// The points that so many more people would add, who act once each on something new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub network: String,
    pub signal: String,
    pub people: u64,
    pub points: Decimal,
}

/// The digits by which remainders are compared.
const REMAINDER: u32 = 32;

/// The parts of a score, which add up to what it is above 1, exactly: rounded down to thousandths, and what is missing
/// then goes to the largest remainders, of equal ones to the first by network, signal and measure. Nothing is below 0.
#[must_use]
pub fn parts(computed: &Computed<'_>) -> Vec<Part> {
    let above = computed.score.minus(Decimal::from_whole(1)).thousandths().unsigned_abs();
    let squares: u64 = computed.networks.iter().map(|it| it.strength * it.strength).sum();
    let mut shares: Vec<(Part, u64, u128)> = Vec::new();
    for network in computed.networks.iter().filter(|it| it.strength > 0) {
        for (signal, measure, part, whole) in within(network).into_iter().filter(|(_, _, part, _)| *part > 0) {
            let of = u128::from(above) * u128::from(network.strength * network.strength) * part;
            let (by, name) = (u128::from(squares) * whole, network.network.network.clone());
            let (points, remainder) = (u64::try_from(of / by).unwrap_or(0), (of % by) << REMAINDER);
            let part = Part { network: name, signal: signal.to_owned(), measure, points: Decimal::default() };
            shares.push((part, points, remainder / by));
        }
    }
    shares.sort_by(|(one, ..), (other, ..)| place(one).cmp(&place(other)));
    let given: u64 = shares.iter().map(|(_, points, _)| points).sum();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(shares.get(*at).map_or(0, |(_, _, remainder)| *remainder)));
    let missing = usize::try_from(above.saturating_sub(given)).unwrap_or(0);
    for at in order.into_iter().take(missing) {
        if let Some((_, points, _)) = shares.get_mut(at) {
            *points += 1;
        }
    }
    let whole = |points: u64| Decimal::from_thousandths(i64::try_from(points).unwrap_or(0));
    shares.into_iter().map(|(part, points, _)| Part { points: whole(points), ..part }).collect()
}

fn place(part: &Part) -> (&str, &str, Measure) {
    (&part.network, &part.signal, part.measure)
}

/// The part that each signal makes of its network, and the whole that these parts add up to. Where the standing counts
/// in part only, each of it does in the same proportion.
fn within<'a>(network: &NetworkPart<'a>) -> Vec<(&'a str, Measure, u128, u128)> {
    let all_standing: u64 = network.standing.iter().map(|it| it.part).sum();
    let counted = network.standing_sum();
    let scale = u128::from(all_standing.max(1));
    let whole = u128::from(network.acts_sum() + counted) * scale;
    let acts = network.acts.iter().map(|it| (it, u128::from(it.part) * scale));
    let standing = network.standing.iter().map(|it| (it, u128::from(it.part) * u128::from(counted)));
    acts.chain(standing).map(|(it, part)| (it.feature.signal.as_str(), it.feature.measure, part, whole)).collect()
}

/// The points that each signal which people give would add, if `people` more of them acted once each, today, on something
/// new; the largest first. Signals that would add nothing are left out.
#[must_use]
pub fn steps(model: &Model, activity: &Activity, people: u64) -> Vec<Step> {
    let now = compute(model, activity).map_or_else(|| Decimal::from_whole(1), |it| it.score);
    let mut steps = Vec::new();
    for network in &model.networks {
        let mut signals: Vec<&str> = network.features.iter().map(|it| it.signal.as_str()).collect();
        signals.sort_unstable();
        signals.dedup();
        for signal in signals.into_iter().filter(|signal| is_given(&network.network, signal)) {
            let mut more = activity.clone();
            let key = (network.network.clone(), signal.to_owned());
            more.signals.entry(key).or_default().add_people(people);
            let points = compute(model, &more).map_or(now, |it| it.score).minus(now);
            if points > Decimal::default() {
                steps.push(Step { network: network.network.clone(), signal: signal.to_owned(), people, points });
            }
        }
    }
    steps.sort_by(|one, other| {
        other.points.cmp(&one.points).then_with(|| (&one.network, &one.signal).cmp(&(&other.network, &other.signal)))
    });
    steps
}

fn is_given(network: &str, signal: &str) -> bool {
    let known = catalog::find(network, signal);
    known.is_ok_and(|it| it.kind == SignalKind::Count && it.direction == Direction::In)
}

impl Part {
    /// As a sentence's subject: "reposts on bluesky, by how many people".
    #[must_use]
    pub fn words(&self) -> String {
        let words = catalog::find(&self.network, &self.signal).map_or(self.signal.as_str(), |it| it.words);
        let side = match self.measure {
            Measure::Breadth => ", by how many people",
            Measure::Peak => ", on what was noticed most",
            Measure::Level => ", the account's standing",
        };
        format!("{words} on {}{side}", self.network)
    }
}

impl Step {
    /// As a sentence: "10 more people giving reposts on bluesky would add 0.8".
    #[must_use]
    pub fn words(&self) -> String {
        let words = catalog::find(&self.network, &self.signal).map_or(self.signal.as_str(), |it| it.words);
        format!("{} more people, each once, in {words} on {}: +{}", self.people, self.network, self.points)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scoring::activity::gather;
    use crate::scoring::activity::tests::seen;
    use crate::scoring::model::tests::small;
    use crate::scoring::observation::Observation;

    const TODAY: i64 = 20_000;

    fn score(model: &Model, observations: &[Observation], today: i64) -> Option<Decimal> {
        compute(model, &gather(observations, today)).map(|it| it.score)
    }

    /// Observations of the last 100 days about one person, on the small model's networks and beside them.
    fn observation() -> impl Strategy<Value = Observation> {
        let count = (
            prop::sample::select(vec![
                "bluesky/like",
                "bluesky/repost",
                "github/star",
                "github/fork",
                "youtube/comment",
                "x/like",
            ]),
            0..100_i64,
            0..40_u32,
            prop::option::of(0..8_u32),
            1..6_u64,
        )
            .prop_map(|(signal, age, by, object, times)| {
                let object = object.map_or_else(String::new, |object| format!(" #o{object}"));
                seen(TODAY - age, &format!("{signal} p{by}{object} ={times}"))
            });
        let total = (
            prop::sample::select(vec!["bluesky/like_count", "youtube/view_count", "youtube/like_count"]),
            0..100_i64,
            0..6_u32,
            0..60_u32,
        )
            .prop_map(|(signal, age, object, power)| {
                seen(TODAY - age, &format!("{signal} #o{object} ={}", 1_u64 << power.min(59)))
            });
        let level = (
            prop::sample::select(vec![
                "bluesky/followers",
                "github/followers",
                "youtube/subscribers",
                "youtube/channel_views",
            ]),
            0..100_i64,
            0..60_u32,
        )
            .prop_map(|(signal, age, power)| seen(TODAY - age, &format!("{signal} ={}", 1_u64 << power.min(59))));
        prop_oneof![6 => count, 2 => total, 1 => level]
    }

    fn observations() -> impl Strategy<Value = Vec<Observation>> {
        prop::collection::vec(observation(), 0..60)
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_thousandth(observations in observations()) {
            let model = small();
            let Some(computed) = compute(&model, &gather(&observations, TODAY)) else { return Ok(()) };
            prop_assert!(computed.score >= Decimal::from_whole(1) && computed.score <= Decimal::from_whole(100));
            let parts = parts(&computed);
            let sum: i64 = parts.iter().map(|it| it.points.thousandths()).sum();
            prop_assert_eq!(sum, computed.score.thousandths() - 1_000);
            prop_assert!(parts.iter().all(|it| it.points >= Decimal::default()));
        }

        #[test]
        fn the_order_of_observations_says_nothing(observations in observations().prop_shuffle(), reversed in any::<bool>()) {
            let mut other = observations.clone();
            other.sort_by(|one, two| format!("{one:?}").cmp(&format!("{two:?}")));
            if reversed {
                other.reverse();
            }
            prop_assert_eq!(gather(&observations, TODAY), gather(&other, TODAY));
        }

        #[test]
        fn one_more_act_of_others_never_lowers(observations in observations(), at in any::<prop::sample::Index>(), one_more in observation()) {
            prop_assume!(one_more.by.is_some());
            let model = small();
            let mut more = observations.clone();
            more.insert(at.index(observations.len() + 1), one_more);
            prop_assert!(score(&model, &more, TODAY) >= score(&model, &observations, TODAY));
        }

        #[test]
        fn time_alone_only_lowers(observations in observations(), days in 0..120_i64) {
            let model = small();
            prop_assert!(score(&model, &observations, TODAY + days) <= score(&model, &observations, TODAY));
        }

        #[test]
        fn all_days_moved_together_change_nothing(observations in observations(), days in -5_000..5_000_i64) {
            let model = small();
            let mut moved = observations.clone();
            for it in &mut moved {
                it.at += jiff::SignedDuration::from_secs(days * 86_400);
                it.seen_at += jiff::SignedDuration::from_secs(days * 86_400);
            }
            let (then, now) = (gather(&observations, TODAY), gather(&moved, TODAY + days));
            prop_assert_eq!(&then, &now);
            let of = |activity| compute(&model, activity).map(|it| (it.score, parts(&it)));
            prop_assert_eq!(of(&then), of(&now));
        }

        #[test]
        fn more_people_never_lower_and_steps_say_what_they_add(observations in observations()) {
            let model = small();
            let activity = gather(&observations, TODAY);
            for step in steps(&model, &activity, 10) {
                let mut more = observations.clone();
                let new = |nth| seen(TODAY, &format!("{}/{} new{nth} #new", step.network, step.signal));
                more.extend((0..10).map(new));
                let now = score(&model, &observations, TODAY).unwrap_or_else(|| Decimal::from_whole(1));
                prop_assert_eq!(score(&model, &more, TODAY).unwrap().minus(now), step.points);
            }
        }
    }

    #[test]
    fn a_hundred_people_weigh_far_more_than_one_a_hundred_times() {
        let model = small();
        let crowd: Vec<_> = (0..100).map(|by| seen(TODAY, &format!("bluesky/repost p{by}"))).collect();
        let fan: Vec<_> = (0..100).map(|_| seen(TODAY, "bluesky/repost fan")).collect();
        let (crowd, fan) = (score(&model, &crowd, TODAY).unwrap(), score(&model, &fan, TODAY).unwrap());
        assert!(crowd.thousandths() > 2 * fan.thousandths(), "{crowd} and {fan}");
    }

    #[test]
    fn a_hundred_reposts_of_one_post_are_no_less_than_of_ten_and_those_more_than_of_a_hundred() {
        let model = small();
        let of = |posts: u32| {
            let acts = (0..100).map(|nth| seen(TODAY, &format!("bluesky/repost p{nth} #o{}", nth % posts)));
            score(&model, &acts.collect::<Vec<_>>(), TODAY).unwrap()
        };
        assert!(of(1) >= of(10) && of(10) > of(100), "{} {} {}", of(1), of(10), of(100));
    }

    #[test]
    fn one_engager_s_day_is_capped() {
        let model = small();
        let of = |times: u32| {
            let acts: Vec<_> = (0..times).map(|_| seen(TODAY, "bluesky/like fan #o")).collect();
            score(&model, &acts, TODAY)
        };
        assert!(of(1) < of(3));
        assert_eq!(of(3), of(300));
    }

    #[test]
    fn others_signals_change_nothing_and_nothing_is_no_score() {
        let model = small();
        assert_eq!(score(&model, &[], TODAY), None);
        assert_eq!(score(&model, &[seen(TODAY, "bluesky/post_made #p")], TODAY), None);
        assert_eq!(score(&model, &[seen(TODAY - 90, "bluesky/like ann")], TODAY), None);
        assert!(score(&model, &[seen(TODAY - 89, "bluesky/like ann")], TODAY).is_some());
    }

    #[test]
    fn standing_counts_on_one_network_only_and_in_part() {
        let model = small();
        let bought: Vec<_> = ["bluesky/followers", "github/followers", "youtube/subscribers", "youtube/channel_views"]
            .map(|signal| seen(TODAY, &format!("{signal} =1000000000000000000")))
            .into();
        let activity = gather(&bought, TODAY);
        let computed = compute(&model, &activity).unwrap();
        assert!(computed.score < Decimal::from_whole(40), "{}", computed.score);
        let standing: Vec<_> = computed.networks.iter().filter(|it| !it.standing.is_empty()).collect();
        assert_eq!(standing.iter().map(|it| it.network.network.as_str()).collect::<Vec<_>>(), ["youtube"]);
        // Two signals share the quarter that counts, in proportion.
        let parts = parts(&computed);
        assert_eq!(parts.iter().map(|it| it.signal.as_str()).collect::<Vec<_>>(), ["channel_views", "subscribers"]);
        let [views, subscribers] = [parts[0].points.thousandths(), parts[1].points.thousandths()];
        assert!((subscribers - 2 * views).abs() <= 2, "{views} {subscribers}");
    }

    #[test]
    fn parts_and_steps_speak_in_sentences() {
        let model = small();
        let acts: Vec<_> = (0..30).map(|by| seen(TODAY, &format!("bluesky/repost p{by} #o"))).collect();
        let activity = gather(&acts, TODAY);
        let computed = compute(&model, &activity).unwrap();
        let words: Vec<_> = parts(&computed).iter().map(Part::words).collect();
        assert_eq!(words, ["reposts on bluesky, by how many people", "reposts on bluesky, on what was noticed most"]);
        let step = &steps(&model, &activity, 10)[0];
        assert!(step.words().starts_with("10 more people, each once, in "), "{}", step.words());
    }
}
