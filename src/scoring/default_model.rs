//! The model that is shipped: fitted on a generated population, as it says itself. To be fitted again on real people.

use super::model::Model;
use crate::foundation::field_error::FieldError;
use crate::foundation::json::Json;

/// The seed of the population that it was fitted on.
pub const SEED: u64 = 1;

/// Reads the shipped model.
///
/// # Errors
/// Those of [`Model::read`], which a test holds to be none.
pub fn default_model() -> Result<Model, Vec<FieldError>> {
    let json = Json::parse(include_str!("default_model.json"));
    Model::read(&json.map_err(|error| vec![FieldError::at("", "bad_form", error.to_string())])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::decimal::Decimal;
    use crate::scoring::activity::gather;
    use crate::scoring::activity::tests::seen;
    use crate::scoring::lint::lint;
    use crate::scoring::model::{Feature, Measure, NetworkModel};
    use crate::scoring::observation::day_of;
    use crate::scoring::score::compute;
    use crate::scoring::{catalog, generated};

    fn scores(model: &Model, people: u64) -> Vec<Decimal> {
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        let people = (0..people).map(|nth| gather(&generated::person(SEED, nth, now), day_of(now)));
        let mut scores: Vec<_> = people.filter_map(|it| compute(model, &it).map(|it| it.score)).collect();
        scores.sort_unstable();
        scores
    }

    #[test]
    fn it_has_no_errors_and_says_what_it_was_fitted_on() {
        let model = default_model().unwrap();
        assert_eq!(lint(&model), []);
        assert_eq!((model.population.name.as_str(), model.population.people > 50_000), ("generated, seed 1", true));
    }

    /// Published of Klout in 2012: a mean of about 20, and the best twentieth from 50 on.
    #[test]
    fn its_people_are_spread_as_klout_s_were() {
        let scores = scores(&default_model().unwrap(), 4_000);
        let mean = scores.iter().map(|it| it.thousandths()).sum::<i64>() / i64::try_from(scores.len()).unwrap();
        assert!((18_500..21_500).contains(&mean), "{mean}");
        let best_twentieth = scores[scores.len() * 95 / 100].thousandths();
        assert!((46_000..54_000).contains(&best_twentieth), "{best_twentieth}");
        let median = scores[scores.len() / 2].thousandths();
        assert!((14_500..17_500).contains(&median), "{median}");
    }

    /// 10^18 followers on nine networks and nobody who ever did anything.
    #[test]
    fn bought_followers_on_nine_networks_do_not_open_a_door_of_40() {
        let mut model = default_model().unwrap();
        let mut bought = Vec::new();
        model.networks.clear();
        for network in catalog::networks() {
            let mut levels = catalog::signals(network).filter(|(_, it)| it.kind == catalog::SignalKind::Gauge);
            let Some((signal, _)) = levels.find(|(_, it)| it.direction == catalog::Direction::In) else { continue };
            let feature =
                Feature { signal: signal.to_owned(), measure: Measure::Level, weight: 1_000, full: 1_000_000 };
            model.networks.push(NetworkModel { network: network.to_owned(), reach: 1_000, features: vec![feature] });
            bought.push(seen(100, &format!("{network}/{signal} =1000000000000000000")));
        }
        assert!(model.networks.len() >= 9);
        assert_eq!(lint(&model), []);
        let score = compute(&model, &gather(&bought, 100)).unwrap().score;
        assert!(score < Decimal::from_whole(40), "{score}");
    }
}
