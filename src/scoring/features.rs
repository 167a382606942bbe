//! From what was gathered to shares: each measure of a signal, as a share of its frozen full value.

use super::activity::Gathered;
use super::logarithm::{ONE, log2};
use super::model::{Feature, Measure};

/// The feature's value: the logarithm of what it measures, in 65,536ths.
#[must_use]
pub fn value(measure: Measure, gathered: &Gathered) -> u64 {
    match measure {
        // Of `breadth / 65,536` people, four of whom are worth one.
        Measure::Breadth => log2(u128::from(4 * ONE) + gathered.breadth(), 4 * ONE),
        // In eighths, eight of which are one act of today.
        Measure::Peak => log2(8 + gathered.peak(), 8),
        Measure::Level => gathered.level.map_or(0, |level| log2(4 + u128::from(level), 4)),
    }
}

/// The share of its full value that a feature has reached, in 65,536ths.
#[must_use]
pub fn share(feature: &Feature, gathered: &Gathered) -> u64 {
    let full = feature.full.max(1);
    value(feature.measure, gathered).min(full) * ONE / full
}
