//! The replayed checks by their scores: who came in, and who would have.

use crate::decision::decided::Decided;
use crate::eligibility::backtest::{ScoreBar, ScoreBars};
use crate::eligibility::picture::Scale;
use crate::foundation::decimal::Decimal;

/// The counts of each part of a scale.
pub(super) struct ScoreTally {
    scale: Scale,
    bars: Vec<ScoreBar>,
    unknown: u64,
}

impl ScoreTally {
    pub(super) fn of(scale: Scale) -> Self {
        let bar = |at| ScoreBar { from: scale.edge(at), to: scale.edge(at + 1), ..ScoreBar::default() };
        Self { scale, bars: (0..scale.bins).map(bar).collect(), unknown: 0 }
    }

    /// Counts a check by the score that it was decided on.
    pub(super) fn note(&mut self, score: Option<Decimal>, was: &Decided, would_be: &Decided) {
        let Some(bar) = score.and_then(|score| self.bars.get_mut(self.scale.bin_of(score))) else {
            self.unknown += 1;
            return;
        };
        let counter = match (was.is_granted(), would_be.is_granted()) {
            (true, true) => &mut bar.remained_in,
            (false, true) => &mut bar.newly_admitted,
            (true, false) => &mut bar.newly_refused,
            (false, false) => &mut bar.remained_out,
        };
        *counter += 1;
    }

    pub(super) fn finish(self) -> ScoreBars {
        ScoreBars { bars: self.bars, unknown: self.unknown }
    }
}
