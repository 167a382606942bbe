//! Two models compared, in sentences.

use std::collections::BTreeMap;

use super::model::{Feature, Measure, Model, NetworkModel};
use crate::foundation::decimal::Decimal;

/// One thing that is different, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The part of the model: a network's name, `population` or `curve`.
    pub part: String,
    pub sentence: String,
}

/// The differences from `before` to `after`; none where they score alike. Their names say nothing.
#[must_use]
pub fn diff(before: &Model, after: &Model) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |part: &str, sentence: String| changes.push(Change { part: part.to_owned(), sentence });
    let (was, is) = (&before.population, &after.population);
    if was != is {
        add(
            "population",
            format!(
                "It was fitted on {} ({} people, {}), and is on {} ({} people, {}).",
                was.name, was.people, was.at, is.name, is.people, is.at
            ),
        );
    }
    let by_name = |model: &'_ Model| -> BTreeMap<String, NetworkModel> {
        model.networks.iter().map(|it| (it.network.clone(), it.clone())).collect()
    };
    let (was, is) = (by_name(before), by_name(after));
    for (name, network) in &is {
        match was.get(name) {
            None => add(name, format!("{name} counts now, with a reach of {}.", thousandths(network.reach))),
            Some(old) => {
                for sentence in of_network(name, old, network) {
                    add(name, sentence);
                }
            }
        }
    }
    for name in was.keys().filter(|name| !is.contains_key(*name)) {
        add(name, format!("{name} counts no longer."));
    }
    for score in scores_to_compare(before, after) {
        let (was, is) = (level_of(before, score), level_of(after, score));
        if was != is {
            let direction = if is > was { "harder" } else { "easier" };
            add("curve", format!("A score of {score} is {direction} to reach: it needs level {is}, and needed {was}."));
        }
    }
    changes
}

fn of_network(name: &str, old: &NetworkModel, new: &NetworkModel) -> Vec<String> {
    let mut sentences = Vec::new();
    if old.reach != new.reach {
        sentences.push(format!("{name}'s reach was {}, and is {}.", thousandths(old.reach), thousandths(new.reach)));
    }
    let by_place = |network: &'_ NetworkModel| -> BTreeMap<(String, Measure), Feature> {
        network.features.iter().map(|it| ((it.signal.clone(), it.measure), it.clone())).collect()
    };
    let (was, is) = (by_place(old), by_place(new));
    for ((signal, measure), feature) in &is {
        let what = format!("{name}'s {signal} ({})", measure.as_str());
        let Some(old) = was.get(&(signal.clone(), *measure)) else {
            sentences.push(format!("{what} counts now, with a weight of {}.", thousandths(feature.weight)));
            continue;
        };
        if old.weight != feature.weight {
            let (old, new) = (thousandths(old.weight), thousandths(feature.weight));
            sentences.push(format!("{what} had a weight of {old}, and has {new}."));
        }
        if old.full != feature.full {
            sentences.push(format!("{what} was full at {}, and is at {}.", old.full, feature.full));
        }
    }
    for (signal, measure) in was.keys().filter(|place| !is.contains_key(*place)) {
        sentences.push(format!("{name}'s {signal} ({}) counts no longer.", measure.as_str()));
    }
    sentences
}

fn thousandths(number: u64) -> Decimal {
    Decimal::from_thousandths(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The scores that either curve has a point at, and 40.
fn scores_to_compare(before: &Model, after: &Model) -> Vec<Decimal> {
    let points = before.curve.iter().chain(&after.curve).map(|point| point.score);
    let mut scores: Vec<Decimal> = points.chain([Decimal::from_whole(40)]).collect();
    scores.sort_unstable();
    scores.dedup();
    scores
}

/// The least level that has the score.
fn level_of(model: &Model, score: Decimal) -> u64 {
    let (mut below, mut above) = (0, super::logarithm::ONE);
    while below < above {
        let middle = below.midpoint(above);
        if model.score_at(middle) >= score {
            above = middle;
        } else {
            below = middle + 1;
        }
    }
    above
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::model::tests::small;

    fn sentences(change: impl FnOnce(&mut Model)) -> Vec<String> {
        let mut after = small();
        change(&mut after);
        diff(&small(), &after).into_iter().map(|it| it.sentence).collect()
    }

    #[test]
    fn each_change_is_a_sentence() {
        assert_eq!(sentences(|it| it.name = "other".to_owned()), Vec::<String>::new());
        assert_eq!(sentences(|it| it.networks[1].reach = 500), ["github's reach was 0.6, and is 0.5."]);
        assert_eq!(
            sentences(|it| it.networks[0].features[0].weight = 150),
            ["bluesky's like (breadth) had a weight of 0.2, and has 0.15."]
        );
        assert_eq!(
            sentences(|it| it.networks[0].features[0].measure = Measure::Peak),
            ["bluesky's like (peak) counts now, with a weight of 0.2.", "bluesky's like (breadth) counts no longer."]
        );
        assert_eq!(sentences(|it| _ = it.networks.remove(1)), ["github counts no longer."]);
        assert_eq!(
            sentences(|it| it.curve[6].level = 27_000),
            [
                "A score of 40 is harder to reach: it needs level 21308, and needed 21124.",
                "A score of 50 is harder to reach: it needs level 27000, and needed 26200."
            ]
        );
        assert_eq!(
            sentences(|it| it.population.people = 5),
            ["It was fitted on made up (100000 people, 2026-11-30), and is on made up (5 people, 2026-11-30)."]
        );
    }
}
