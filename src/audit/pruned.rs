//! Bodies that are gone, against what the log says of pruning: what nobody recorded, somebody did.

use serde::Deserialize;

use super::findings::{Findings, Place, Wrong};

/// The facts of `audit.pruned`.
#[derive(Deserialize)]
pub(super) struct PrunedFacts {
    pub to_index: i64,
    pub count: u64,
}

/// What is gone of one log, and what was recorded as gone.
#[derive(Default)]
pub(super) struct Pruned {
    gone: u64,
    last: i64,
    recorded: u64,
    recorded_to: i64,
}

impl Pruned {
    pub(super) fn gone(&mut self, index: i64) {
        self.gone += 1;
        self.last = self.last.max(index);
    }

    pub(super) fn recorded(&mut self, facts: &PrunedFacts) {
        self.recorded = self.recorded.saturating_add(facts.count);
        self.recorded_to = self.recorded_to.max(facts.to_index);
    }

    /// Pruning that was cut off and went on later is recorded twice, so fewer may be gone than recorded.
    pub(super) fn close(&self, log: &str, findings: &mut Findings) {
        let Self { gone, last, recorded, recorded_to } = *self;
        if gone > recorded {
            findings.add(Place::log(log), Wrong::BodiesMissing { gone, recorded });
        } else if gone > 0 && last >= recorded_to {
            findings.add(Place::index(log, last), Wrong::BodyMissing);
        }
    }
}
