//! Bodies that are missing, against what the log says of pruning: what nobody recorded, someone did.

use jiff::Timestamp;
use serde::Deserialize;

use crate::audit::verify::findings::{FindingPlace, Findings, Wrong};

/// The facts of `audit.pruned`.
#[derive(Deserialize)]
pub(crate) struct PrunedFacts {
    pub before: Timestamp,
    pub from_index: i64,
    pub to_index: i64,
    pub count: u64,
}

/// The bodies of one log that are missing, and those that were recorded as pruned.
#[derive(Default)]
pub(crate) struct Pruned {
    missing: u64,
    /// The first index that is missing, and the last.
    range: Option<(i64, i64)>,
    /// When the youngest that is missing was, where a table says it, and its index.
    youngest: Option<(i64, i64)>,
    recorded: u64,
    /// The first index that was recorded, and the first behind all of them.
    recorded_range: Option<(i64, i64)>,
    /// The latest of the instants before which something was recorded as pruned.
    before: Option<i64>,
}

impl Pruned {
    /// `at`: when it was, where a table says it.
    pub(crate) fn record_pruned(&mut self, index: i64, at: Option<i64>) {
        self.missing += 1;
        self.youngest = self.youngest.max(at.map(|at| (at, index)));
        let (first, last) = self.range.unwrap_or((index, index));
        self.range = Some((first.min(index), last.max(index)));
    }

    pub(crate) fn recorded(&mut self, facts: &PrunedFacts) {
        self.recorded = self.recorded.saturating_add(facts.count);
        let (from, to) = self.recorded_range.unwrap_or((facts.from_index, facts.to_index));
        self.recorded_range = Some((from.min(facts.from_index), to.max(facts.to_index)));
        self.before = self.before.max(Some(facts.before.as_microsecond()));
    }

    /// Compares what is missing with what was recorded: of pruning that was cut off, fewer may be missing.
    pub(crate) fn close(&self, log: &str, findings: &mut Findings) {
        let Self { missing, recorded, .. } = *self;
        if missing > recorded {
            findings.add(FindingPlace::log(log), Wrong::BodiesMissing { missing, recorded });
        }
        for index in self.beyond().into_iter().flatten().filter(|_| missing <= recorded) {
            findings.add(FindingPlace::index(log, index), Wrong::BodyMissing);
        }
    }

    /// The least number of bodies that are missing and that nothing here records.
    pub(crate) fn unaccounted(&self) -> u64 {
        let beyond = self.beyond().into_iter().flatten().count();
        self.missing.saturating_sub(self.recorded).max(u64::try_from(beyond).unwrap_or(u64::MAX))
    }

    /// The first that is missing, the last and the youngest, where pruning did not come so far.
    fn beyond(&self) -> [Option<i64>; 3] {
        let Some((first, last)) = self.range else { return [None; 3] };
        let (from, to) = self.recorded_range.unwrap_or((0, 0));
        let first = Some(first).filter(|first| *first < from);
        let last = Some(last).filter(|last| *last >= to && first != Some(*last));
        let youngest = self.youngest.filter(|(at, _)| self.before.is_some_and(|before| *at >= before));
        let youngest = youngest.map(|(_, index)| index).filter(|index| ![first, last].contains(&Some(*index)));
        [first, last, youngest]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(missing: &[(i64, Option<i64>)], recorded: &[(i64, i64, u64)]) -> Vec<(Option<i64>, &'static str)> {
        let (mut pruned, mut findings) = (Pruned::default(), Findings::default());
        for (index, at) in missing {
            pruned.record_pruned(*index, *at);
        }
        for (from_index, to_index, count) in recorded {
            let before = Timestamp::from_microsecond(1000).unwrap();
            pruned.recorded(&PrunedFacts { before, from_index: *from_index, to_index: *to_index, count: *count });
        }
        pruned.close("a", &mut findings);
        findings.listed().iter().map(|it| (it.place.index, it.wrong.code())).collect()
    }

    #[test]
    fn what_is_missing_was_recorded_as_often_as_far_and_as_old() {
        let missing = [(3, Some(999)), (4, None), (7, Some(10))];
        assert_eq!(codes(&missing, &[(3, 8, 3)]), []);
        assert_eq!(codes(&missing, &[(3, 8, 3), (4, 8, 0)]), [], "the rest of it went later");
        assert_eq!(codes(&missing, &[(3, 8, 2)]), [(None, "body_missing")], "one too many");
        assert_eq!(codes(&missing, &[(4, 8, 9)]), [(Some(3), "body_missing")]);
        assert_eq!(codes(&missing, &[(3, 7, 9)]), [(Some(7), "body_missing")]);
        assert_eq!(codes(&[(3, Some(5)), (4, Some(1000)), (7, None)], &[(3, 8, 9)]), [(Some(4), "body_missing")]);
        assert_eq!(codes(&[(9, Some(1000))], &[(3, 8, 9)]), [(Some(9), "body_missing")], "once");
        assert_eq!(codes(&[(9, Some(1000))], &[]), [(None, "body_missing")]);
    }
}
