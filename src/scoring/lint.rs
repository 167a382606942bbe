//! The errors of a model that can be read: one with errors must not score anybody.

use std::collections::BTreeSet;

use super::catalog::{self, Direction, Signal, SignalKind};
use super::logarithm::ONE;
use super::model::{Feature, Measure, Model, NetworkModel};
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;

/// The score that standing alone must not reach, on any number of networks: what most doors ask for.
pub const STANDING_LIMIT: i64 = 40;

/// The errors of a model.
#[must_use]
pub fn lint(model: &Model) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut names = BTreeSet::new();
    for (nth, network) in model.networks.iter().enumerate() {
        let at = format!("/networks/{nth}");
        if !names.insert(&network.network) {
            errors.push(FieldError::at(
                format!("{at}/network"),
                "doubled",
                format!("`{}` stands twice", network.network),
            ));
        }
        lint_network(network, &at, &mut errors);
    }
    lint_curve(model, &mut errors);
    errors
}

fn lint_network(network: &NetworkModel, at: &str, errors: &mut Vec<FieldError>) {
    if network.reach == 0 {
        let detail = "a network that can make nothing is left out: use more than 0, at most 1";
        errors.push(FieldError::at(format!("{at}/reach"), "out_of_range", detail));
    }
    let sum: u64 = network.features.iter().map(|it| it.weight).sum();
    if sum != 1_000 {
        let sum = Decimal::from_thousandths(i64::try_from(sum).unwrap_or(i64::MAX));
        let detail = format!("the weights of `{}` add up to {sum}: they must add up to 1", network.network);
        errors.push(FieldError::at(format!("{at}/features"), "weights", detail));
    }
    let mut known = BTreeSet::new();
    for (nth, feature) in network.features.iter().enumerate() {
        let at = format!("{at}/features/{nth}");
        if !known.insert((&feature.signal, feature.measure)) {
            let detail = format!("`{}` is measured so twice", feature.signal);
            errors.push(FieldError::at(format!("{at}/signal"), "doubled", detail));
        }
        match catalog::find(&network.network, &feature.signal) {
            Err(unknown) => errors.push(FieldError::at(format!("{at}/signal"), "unknown_signal", unknown.to_string())),
            Ok(signal) => {
                if let Some(detail) = misfit(feature, signal) {
                    errors.push(FieldError::at(format!("{at}/measure"), "measure", detail));
                }
            }
        }
    }
}

/// Why this can't be measured so.
fn misfit(feature: &Feature, signal: Signal) -> Option<&'static str> {
    match (signal.direction, signal.kind, feature.measure) {
        (Direction::Out, ..) => Some("what people do themselves is never counted: being loud is no influence"),
        (_, SignalKind::Gauge, Measure::Breadth | Measure::Peak) => Some("a gauge has a `level` only"),
        (_, SignalKind::Count, Measure::Level) => Some("a count is measured by `breadth` or `peak`"),
        _ => None,
    }
}

fn lint_curve(model: &Model, errors: &mut Vec<FieldError>) {
    let mut error = |at: String, detail: String| errors.push(FieldError::at(at, "curve", detail));
    let (lowest, highest) = (Decimal::from_whole(1), Decimal::from_whole(100));
    for (nth, pair) in model.curve.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        let at = |member: &str| format!("/curve/{}/{member}", nth + 1);
        if after.level <= before.level {
            error(at("level"), "levels must rise from point to point".to_owned());
        }
        if after.score < before.score {
            error(at("score"), "scores must not fall from point to point".to_owned());
        }
    }
    if model.curve.first().is_none_or(|first| first.level != 0 || first.score != lowest) {
        error("/curve/0".to_owned(), "the curve begins at level 0 with score 1".to_owned());
    }
    if model.curve.last().is_none_or(|last| last.score != highest) {
        error(
            format!("/curve/{}/score", model.curve.len().saturating_sub(1)),
            "the curve ends at score 100".to_owned(),
        );
    }
    let reached = model.networks.iter().map(reached_by_standing).max().unwrap_or(0);
    let score = model.score_at(reached);
    if score >= Decimal::from_whole(STANDING_LIMIT) {
        let detail = format!(
            "followers and the like alone, which can be bought, would make {score}: let the curve be below \
             {STANDING_LIMIT} at level {reached}"
        );
        error("/curve".to_owned(), detail);
    }
}

/// The level that the account's standing makes alone, at its fullest.
fn reached_by_standing(network: &NetworkModel) -> u64 {
    let standing = network.features.iter().filter(|it| it.measure == Measure::Level);
    let full: u64 = standing.map(|it| it.weight * ONE).sum();
    network.reach * full.min(super::score::MOST_STANDING) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::model::CurvePoint;
    use crate::scoring::model::tests::small;

    fn codes(change: impl FnOnce(&mut Model)) -> Vec<(String, String)> {
        let mut model = small();
        change(&mut model);
        lint(&model).iter().map(|error| (error.path.as_str().to_owned(), error.code.to_string())).collect()
    }

    fn only(at: &str, code: &str) -> Vec<(String, String)> {
        vec![(at.to_owned(), code.to_owned())]
    }

    #[test]
    fn a_good_model_has_no_errors_and_each_fault_is_found() {
        assert_eq!(codes(|_| {}), []);
        assert_eq!(codes(|it| it.networks[0].features[0].weight += 1), only("/networks/0/features", "weights"));
        assert_eq!(codes(|it| it.networks[1].reach = 0), only("/networks/1/reach", "out_of_range"));
        assert_eq!(
            codes(|it| it.networks[0].features[0].signal = "likes".to_owned()),
            only("/networks/0/features/0/signal", "unknown_signal")
        );
        assert_eq!(
            codes(|it| it.networks[0].features[0].signal = "like_given".to_owned()),
            only("/networks/0/features/0/measure", "measure")
        );
        assert_eq!(
            codes(|it| it.networks[0].features[0].measure = Measure::Level),
            only("/networks/0/features/0/measure", "measure")
        );
        assert_eq!(
            codes(|it| it.networks[0].features[3].measure = Measure::Peak),
            only("/networks/0/features/4/signal", "doubled")
        );
        assert_eq!(codes(|it| it.curve[2].level = it.curve[1].level), only("/curve/2/level", "curve"));
        assert_eq!(codes(|it| it.curve[2].score = Decimal::from_whole(2)), only("/curve/2/score", "curve"));
        assert_eq!(codes(|it| it.curve[0].score = Decimal::from_whole(2)), only("/curve/0", "curve"));
        assert_eq!(codes(|it| _ = it.curve.pop()), only("/curve/8/score", "curve"));
        let doubled = codes(|it| it.networks[1].network = "bluesky".to_owned());
        assert_eq!(doubled.first(), only("/networks/1/network", "doubled").first());
    }

    #[test]
    fn a_curve_on_which_bought_followers_reach_a_door_is_refused() {
        let steep = |it: &mut Model| {
            it.curve = vec![
                CurvePoint { level: 0, score: Decimal::from_whole(1) },
                CurvePoint { level: 16_000, score: Decimal::from_whole(45) },
                CurvePoint { level: ONE, score: Decimal::from_whole(100) },
            ];
        };
        assert_eq!(codes(steep), only("/curve", "curve"));
    }
}
