//! The threshold picture: how many people have which score, where a rule's thresholds lie, and whom last week's visitors
//! were. Everything that a page needs to say what another threshold would mean, without asking again.
//!
//! - `handles`: the thresholds of a rule that can be moved; `cut`: what given thresholds mean on a picture
//! - `maker`: [`Pictures`] counts, from the scores and from the ledger

pub mod cut;
mod handles;
mod maker;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{PerkSlug, SourceName};
pub use handles::{Handle, with_thresholds};
pub use maker::Pictures;

/// The most bars.
pub const BINS: usize = 100;
/// Number of bars under the lowest threshold that count as just short: 3 points of 100.
const SHORT: usize = 3;

/// The picture of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Picture {
    pub perk: PerkSlug,
    /// The version whose thresholds these are.
    pub version: i32,
    pub source: SourceName,
    /// When the scores were counted.
    pub at: Timestamp,
    pub minimum: Decimal,
    pub maximum: Decimal,
    /// The distance under the lowest threshold that counts as just short, in points.
    pub within: Decimal,
    /// Number of people in each bar: equal parts of the scale, lowest first; the last one has its upper end too. Estimates
    /// where `counted` is less than `total`.
    pub counts: Vec<u64>,
    /// Number of people who have a score from the source.
    pub total: u64,
    /// Number of people whose score was looked at.
    pub counted: u64,
    /// Those in `counts` whose score is older than the rule takes.
    pub stale: u64,
    /// The tiers whose condition compares the score with a threshold, lowest rank first.
    pub tiers: Vec<Handle>,
    /// The thresholds that decide now, where another version is published that goes by the same source.
    pub published: Option<PublishedThresholds>,
    /// The published version where it goes by another source, so that it can't be shown on these scores.
    pub incomparable: Option<i32>,
    /// The names of the tiers that no one threshold of the score opens.
    pub without_threshold: Vec<String>,
    /// The limit that counts a day of the whole perk, where the rule has one.
    pub limit: Option<DailyLimit>,
    /// The mean number of people that last week's grants counted; 1 where there were none.
    pub party: Decimal,
    /// The last seven days that are over in the perk's zone, the earliest first.
    pub week: Vec<DayAsked>,
    /// True if the log of the week was too long to be read whole, so that its numbers are estimates.
    pub is_week_estimated: bool,
}

/// The thresholds of the version that decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedThresholds {
    pub version: i32,
    pub tiers: Vec<Handle>,
}

/// A limit by the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DailyLimit {
    pub id: String,
    pub max: u64,
    /// `party` where each person counts, else `visit`.
    pub cost: &'static str,
}

/// The visitors of a day, by the score that was seen of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayAsked {
    pub date: Date,
    /// Number of checks in each bar of the scale; estimates where the week was too long to read.
    pub asked: Vec<u64>,
    /// Number of checks whose score isn't known: there was none, it came from another source, or the person was erased.
    pub unknown: u64,
}

/// Equal parts of a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    pub minimum: Decimal,
    pub maximum: Decimal,
    pub bins: usize,
}

impl Scale {
    /// The scale of a source: 100 parts, or fewer where it has fewer scores.
    #[must_use]
    pub fn new(minimum: Decimal, maximum: Decimal) -> Self {
        let span = usize::try_from(maximum.minus(minimum).thousandths()).unwrap_or(1);
        Self { minimum, maximum, bins: span.clamp(1, BINS) }
    }

    /// The bar that a score belongs to; what lies off the scale counts at its end.
    #[must_use]
    pub fn bin_of(&self, value: Decimal) -> usize {
        let span = i128::from(self.maximum.minus(self.minimum).thousandths()).max(1);
        let bins = i128::try_from(self.bins).unwrap_or(1);
        let into = i128::from(value.minus(self.minimum).thousandths());
        usize::try_from((into * bins / span).clamp(0, bins - 1)).unwrap_or(0)
    }

    /// The least score of a bar; of the one after the last, the scale's end.
    #[must_use]
    pub fn edge(&self, bin: usize) -> Decimal {
        let span = i128::from(self.maximum.minus(self.minimum).thousandths());
        let bins = i128::try_from(self.bins).unwrap_or(1).max(1);
        let steps = span * i128::try_from(bin).unwrap_or(0);
        // Rounded up: the least of the thousandths that `bin_of` puts there.
        let up = (steps + bins - 1) / bins;
        let up = i64::try_from(up).unwrap_or(i64::MAX);
        Decimal::from_thousandths(self.minimum.thousandths().saturating_add(up))
    }

    /// The distance under a threshold that counts as just short.
    #[must_use]
    pub fn within(&self) -> Decimal {
        self.edge(SHORT.min(self.bins)).minus(self.minimum)
    }

    /// True if a threshold lies between two bars, so that counts of bars are exact on both sides of it.
    #[must_use]
    pub fn is_exact_at(&self, threshold: Decimal) -> bool {
        threshold > self.maximum || self.edge(self.bin_of(threshold)) == threshold
    }
}

impl Picture {
    /// The scale of its bars.
    #[must_use]
    pub fn scale(&self) -> Scale {
        Scale { minimum: self.minimum, maximum: self.maximum, bins: self.counts.len() }
    }

    /// Number of checks of the week, and of those among them whose score isn't known.
    #[must_use]
    pub fn asked(&self) -> (u64, u64) {
        let unknown = self.week.iter().map(|day| day.unknown).sum();
        (self.week.iter().map(|day| day.asked.iter().sum::<u64>()).sum::<u64>() + unknown, unknown)
    }

    /// True if the counts were projected from a part of the people.
    #[must_use]
    pub const fn is_estimated(&self) -> bool {
        self.counted < self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn every_score_falls_into_the_bar_whose_edges_hold_it() {
        for (low, high) in [("0", "100"), ("-7", "13.5"), ("0", "0.003"), ("1", "1.017"), ("300", "850")] {
            let scale = Scale::new(decimal(low), decimal(high));
            assert_eq!((scale.edge(0), scale.edge(scale.bins)), (scale.minimum, scale.maximum));
            let (from, to) = (scale.minimum.thousandths(), scale.maximum.thousandths());
            let step = usize::try_from(((to - from) / 1000).max(1)).unwrap();
            for value in (from..=to).step_by(step).map(Decimal::from_thousandths) {
                let bin = scale.bin_of(value);
                let is_last = bin == scale.bins - 1;
                assert!(scale.edge(bin) <= value && (is_last || value < scale.edge(bin + 1)), "{value} in {bin}");
            }
        }
    }

    #[test]
    fn just_short_is_three_bars() {
        for (low, high, within) in [("0", "100", "3"), ("300", "850", "16.5"), ("0", "1000", "30"), ("0", "1", "0.03")]
        {
            assert_eq!(Scale::new(decimal(low), decimal(high)).within(), decimal(within), "{low} to {high}");
        }
    }

    #[test]
    fn whole_points_are_exact_on_a_scale_of_a_hundred() {
        let scale = Scale::new(decimal("0"), decimal("100"));
        assert!(scale.is_exact_at(decimal("45")) && scale.is_exact_at(decimal("0")));
        assert!(!scale.is_exact_at(decimal("45.5")));
        // 100 is in the last bar, with what is from 99 on.
        assert!(!scale.is_exact_at(decimal("100")));
    }
}
