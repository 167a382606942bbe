//! From a population to the frozen points of a model: the full value of each feature, and the curve.
//!
//! Which networks and features there are, their weights and reaches, are judgements: they come with the draft. What a fit
//! finds is where the population stands, so that a score says how few people have more.

use jiff::civil::Date;

use super::activity::Activity;
use super::features;
use super::logarithm::ONE;
use super::model::{CurvePoint, Model, Population};
use super::score::compute;
use crate::foundation::decimal::Decimal;

/// The scores that the quantiles of the population get, in thousandths of people and whole points. The first and the last
/// point are given: nobody is below 1, and 100 is for the whole level.
pub const QUANTILES: [(usize, i64); 8] =
    [(100, 8), (250, 11), (500, 16), (750, 24), (900, 37), (950, 50), (990, 63), (999, 75)];

/// The thousandth of those who have a feature at which it is full.
const FULL_AT: usize = 999;

/// Why a model can't be fitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    #[error("a population of {people} says too little: at least {least} people with signals are needed", least = LEAST_PEOPLE)]
    TooFew { people: usize },
    #[error("all of the population has the same level: give signals that tell people apart")]
    Flat,
}

/// The least people of a population: fewer have no 99.9 % point.
pub const LEAST_PEOPLE: usize = 1_000;

/// Fits a draft to a population, whose members without signals are left out. Errors that `lint` finds in the draft may
/// remain; its full values and its curve are replaced.
///
/// # Errors
/// [`FitError`].
pub fn fit(draft: &Model, name: &str, at: Date, population: &[Activity]) -> Result<Model, FitError> {
    let population: Vec<&Activity> = population.iter().filter(|it| !it.signals.is_empty()).collect();
    let people = population.len();
    if people < LEAST_PEOPLE {
        return Err(FitError::TooFew { people });
    }
    let mut model = draft.clone();
    model.population = Population { name: name.to_owned(), people: people as u64, at };
    for network in &mut model.networks {
        for feature in &mut network.features {
            let key = (network.network.clone(), feature.signal.clone());
            let values = population.iter().filter_map(|it| it.signals.get(&key));
            let mut values: Vec<u64> =
                values.map(|it| features::value(feature.measure, it)).filter(|it| *it > 0).collect();
            values.sort_unstable();
            // One that nobody has keeps what the draft says.
            feature.full = quantile(&values, FULL_AT).unwrap_or(feature.full).max(1);
        }
    }
    let mut levels: Vec<u64> = population.iter().filter_map(|it| compute(&model, it)).map(|it| it.level).collect();
    levels.sort_unstable();
    model.curve = curve(&levels).ok_or(FitError::Flat)?;
    Ok(model)
}

/// The value that so many thousandths of the sorted values are at or below; none of none.
fn quantile(sorted: &[u64], thousandths: usize) -> Option<u64> {
    sorted.get((sorted.len() * thousandths / 1_000).min(sorted.len().checked_sub(1)?)).copied()
}

/// The points of the curve; none where the levels tell nobody apart. Where several quantiles have one level, its score
/// is that of the highest: nobody with it is below them.
fn curve(levels: &[u64]) -> Option<Vec<CurvePoint>> {
    let mut curve = vec![CurvePoint { level: 0, score: Decimal::from_whole(1) }];
    for (thousandths, score) in QUANTILES {
        let point = CurvePoint { level: quantile(levels, thousandths)?, score: Decimal::from_whole(score) };
        match curve.last_mut() {
            Some(last) if last.level >= point.level && last.level > 0 => last.score = point.score,
            Some(last) if last.level >= point.level => {}
            _ => curve.push(point),
        }
    }
    if curve.len() < 3 {
        return None;
    }
    let (full, highest) = (levels.last().copied()?.min(ONE), Decimal::from_whole(100));
    match curve.last_mut() {
        Some(last) if last.level >= full => last.score = highest,
        _ => curve.push(CurvePoint { level: full, score: highest }),
    }
    Some(curve)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::activity::gather;
    use crate::scoring::activity::tests::seen;
    use crate::scoring::lint::lint;
    use crate::scoring::model::tests::small;

    fn population(people: usize) -> Vec<Activity> {
        let person = |nth: usize| {
            // Few have much: the nth of a thousand has a thousandth of the first's.
            let likes = people / (nth + 1);
            let acts = (0..likes).map(|by| seen(100, &format!("bluesky/repost p{by} #o{}", by % 7)));
            let level = seen(100, &format!("github/followers ={}", 1 + 50 * likes));
            gather(&acts.chain([level]).collect::<Vec<_>>(), 100)
        };
        (0..people).map(person).collect()
    }

    #[test]
    fn the_quantiles_of_the_population_get_their_scores() {
        let (people, date) = (population(2_000), "2026-11-30".parse().unwrap());
        let model = fit(&small(), "made up", date, &people).unwrap();
        let mut scores: Vec<_> = people.iter().filter_map(|it| compute(&model, it)).map(|it| it.score).collect();
        scores.sort_unstable();
        for (thousandths, score) in QUANTILES {
            let reached = scores[scores.len() * thousandths / 1_000];
            assert!(reached >= Decimal::from_whole(score), "{thousandths}: {reached}");
        }
        assert_eq!(scores.last(), Some(&Decimal::from_whole(100)));
        assert_eq!(lint(&model).iter().filter(|it| it.path.as_str() != "/curve").count(), 0);
        assert_eq!((model.population.people, model.population.at), (2_000, date));
        assert_eq!(fit(&model, "made up", date, &people), Ok(model), "a second fit finds the same");
    }

    #[test]
    fn few_people_and_people_who_are_all_alike_are_refused() {
        let date = "2026-11-30".parse().unwrap();
        assert_eq!(fit(&small(), "few", date, &population(10)), Err(FitError::TooFew { people: 10 }));
        let alike = vec![gather(&[seen(100, "bluesky/like ann")], 100); LEAST_PEOPLE];
        assert_eq!(fit(&small(), "alike", date, &alike), Err(FitError::Flat));
        let nobody = vec![Activity::default(); 5_000];
        assert_eq!(fit(&small(), "nobody", date, &nobody), Err(FitError::TooFew { people: 0 }));
    }
}
