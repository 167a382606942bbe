//! The formula: from what was gathered to a level, and by the model's curve to a score.

use std::collections::BTreeMap;

use super::activity::{Activity, Gathered};
use super::features::share;
use super::logarithm::ONE;
use super::model::{Feature, Measure, Model, NetworkModel};
use crate::foundation::decimal::Decimal;

/// The most that an account's standing makes of its network, in thousandths of 65,536ths: a quarter. What can be bought on
/// all networks together must not reach far, so it counts on one network only.
pub(super) const MOST_STANDING: u64 = ONE * 1_000 / 4;

/// A feature's part of its network: its weight by its share, in thousandths of 65,536ths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeaturePart<'a> {
    pub feature: &'a Feature,
    pub part: u64,
}

/// A network as it was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPart<'a> {
    pub network: &'a NetworkModel,
    /// The acts of others.
    pub acts: Vec<FeaturePart<'a>>,
    /// The account's standing; empty on every network but one.
    pub standing: Vec<FeaturePart<'a>>,
    /// In 65,536ths.
    pub strength: u64,
}

/// A score, and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computed<'a> {
    pub score: Decimal,
    /// In 65,536ths.
    pub level: u64,
    pub networks: Vec<NetworkPart<'a>>,
}

/// Scores what was gathered. None where nothing was: that is no low score, it is none.
#[must_use]
pub fn compute<'a>(model: &'a Model, activity: &Activity) -> Option<Computed<'a>> {
    if activity.signals.is_empty() {
        return None;
    }
    let mut networks: Vec<NetworkPart<'a>> =
        model.networks.iter().map(|network| NetworkPart::of(network, activity)).collect();
    keep_best_standing(&mut networks);
    let squares: u64 = networks.iter().map(|it| it.strength * it.strength).sum();
    let level = squares.isqrt().min(ONE);
    Some(Computed { score: model.score_at(level), level, networks })
}

impl<'a> NetworkPart<'a> {
    fn of(network: &'a NetworkModel, activity: &Activity) -> Self {
        let nothing = Gathered::default();
        let of_signal: BTreeMap<&str, &Gathered> = activity
            .signals
            .iter()
            .filter(|((name, _), _)| *name == network.network)
            .map(|((_, signal), gathered)| (signal.as_str(), gathered))
            .collect();
        let part = |feature: &'a Feature| {
            let gathered = of_signal.get(feature.signal.as_str()).copied().unwrap_or(&nothing);
            FeaturePart { feature, part: feature.weight * share(feature, gathered) }
        };
        let (standing, acts) = network.features.iter().map(part).partition(|it| it.feature.measure == Measure::Level);
        let mut this = Self { network, acts, standing, strength: 0 };
        this.strength = this.strength_of(true);
        this
    }

    /// The sum of what others did.
    pub(super) fn acts_sum(&self) -> u64 {
        self.acts.iter().map(|it| it.part).sum()
    }

    /// The sum of the account's standing, as far as it counts.
    pub(super) fn standing_sum(&self) -> u64 {
        self.standing.iter().map(|it| it.part).sum::<u64>().min(MOST_STANDING)
    }

    fn strength_of(&self, with_standing: bool) -> u64 {
        let standing = if with_standing { self.standing_sum() } else { 0 };
        self.network.reach * (self.acts_sum() + standing) / 1_000_000
    }
}

/// Keeps the account's standing on the network where it raises the level most, and drops it from all others.
fn keep_best_standing(networks: &mut [NetworkPart<'_>]) {
    let raises = |it: &NetworkPart<'_>| it.strength_of(true).pow(2) - it.strength_of(false).pow(2);
    let mut best: Option<(usize, u64)> = None;
    for (at, raised) in networks.iter().map(raises).enumerate() {
        // Of equal ones the first by name.
        if raised > best.map_or(0, |(_, most)| most) {
            best = Some((at, raised));
        }
    }
    for (at, network) in networks.iter_mut().enumerate() {
        if best.is_none_or(|(kept, _)| kept != at) {
            network.standing.clear();
            network.strength = network.strength_of(false);
        }
    }
}
