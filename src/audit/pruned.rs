//! Bodies that are gone, against what the log says of pruning: what nobody recorded, somebody did.

use jiff::Timestamp;
use serde::Deserialize;

use super::findings::{Findings, Place, Wrong};

/// The facts of `audit.pruned`.
#[derive(Deserialize)]
pub(super) struct PrunedFacts {
    pub before: Timestamp,
    pub from_index: i64,
    pub to_index: i64,
    pub count: u64,
}

/// What is gone of one log, and what was recorded as gone.
#[derive(Default)]
pub(super) struct Pruned {
    gone: u64,
    /// The first index that is gone, and the last.
    range: Option<(i64, i64)>,
    recorded: u64,
    /// The first index that was recorded, and the first behind all of them.
    recorded_range: Option<(i64, i64)>,
}

impl Pruned {
    pub(super) fn gone(&mut self, index: i64) {
        self.gone += 1;
        let (first, last) = self.range.unwrap_or((index, index));
        self.range = Some((first.min(index), last.max(index)));
    }

    pub(super) fn recorded(&mut self, facts: &PrunedFacts) {
        self.recorded = self.recorded.saturating_add(facts.count);
        let (from, to) = self.recorded_range.unwrap_or((facts.from_index, facts.to_index));
        self.recorded_range = Some((from.min(facts.from_index), to.max(facts.to_index)));
    }

    /// Pruning that was cut off and went on later is recorded twice, so fewer may be gone than recorded.
    pub(super) fn close(&self, log: &str, findings: &mut Findings) {
        let Self { gone, recorded, .. } = *self;
        if gone > recorded {
            findings.add(Place::log(log), Wrong::BodiesMissing { gone, recorded });
        }
        for index in self.beyond().into_iter().flatten().filter(|_| gone <= recorded) {
            findings.add(Place::index(log, index), Wrong::BodyMissing);
        }
    }

    /// How many are gone at least of which nothing here tells.
    pub(super) fn unaccounted(&self) -> u64 {
        let beyond = self.beyond().into_iter().flatten().count();
        self.gone.saturating_sub(self.recorded).max(u64::try_from(beyond).unwrap_or(u64::MAX))
    }

    /// The first that is gone and the last, where pruning did not come so far.
    fn beyond(&self) -> [Option<i64>; 2] {
        let Some((first, last)) = self.range else { return [None; 2] };
        let (from, to) = self.recorded_range.unwrap_or((0, 0));
        [Some(first).filter(|first| *first < from), Some(last).filter(|last| *last >= to)]
    }
}
