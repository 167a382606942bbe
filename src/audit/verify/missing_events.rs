//! Events whose bodies are not here, and what they may have done.

use jiff::Timestamp;

use super::tables::pruned::PrunedFacts;
use crate::rules::limit::{CONCURRENT, LIFETIME, ROLLING};
use crate::rules::window::{SLACK_HOURS, ends_after};

/// The events of one log that are missing so far. Nothing is pruned that a limit still counts, so what is pruned
/// leaves the limits of later on as exact as they were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gaps {
    /// Events lie outside of what was exported: they may be of any kind and age.
    is_part: bool,
    /// The last event whose body is pruned, and the instant of the youngest as far as the table says it.
    last: Option<(i64, i64)>,
    /// The log's record so far of all pruning together.
    all: Option<RecordedFields>,
}

/// Microseconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RecordedFields {
    /// Younger events were not pruned.
    before: i64,
    /// When it was done.
    at: i64,
    /// The first index behind what was pruned.
    to_index: i64,
}

impl RecordedFields {
    /// True if a window of the calendar was still to last when it was done, so that nothing is pruned that used it.
    fn left_open(&self, window: &str) -> bool {
        Timestamp::from_microsecond(self.at).is_ok_and(|at| ends_after(window, at))
    }
}

impl Gaps {
    /// An event outside of what was exported.
    pub(crate) const fn outside(&mut self) {
        self.is_part = true;
    }

    /// An event whose body is pruned; when it was, where a table says it.
    pub(crate) fn pruned(&mut self, index: i64, at: Option<i64>) {
        let (at, youngest) = (at.unwrap_or(i64::MIN), self.last.map_or(i64::MIN, |(_, youngest)| youngest));
        self.last = Some((index, at.max(youngest)));
    }

    /// The log records pruning.
    pub(crate) fn tell(&mut self, at: i64, facts: &PrunedFacts) {
        let pruning = RecordedFields { before: facts.before.as_microsecond(), at, to_index: facts.to_index };
        self.all = Some(self.all.map_or(pruning, |all| RecordedFields {
            before: all.before.max(pruning.before),
            at: all.at.max(pruning.at),
            to_index: all.to_index.max(pruning.to_index),
        }));
    }

    /// The recorded pruning, once that accounts for all that is pruned so far. Clocks differ, so a
    /// later pruning may take what one of before had left in its midst.
    fn accounted(&self) -> Option<RecordedFields> {
        let (last, youngest) = self.last?;
        self.all.filter(|all| last < all.to_index && youngest < all.before)
    }

    /// Tells whether there may be events that are not here.
    pub(crate) const fn any(&self) -> bool {
        self.is_part || self.last.is_some()
    }

    /// Tells whether they may be of any kind.
    pub(crate) const fn is_part(&self) -> bool {
        self.is_part
    }

    /// Tells whether the last event that is pruned stands behind this one.
    pub(crate) fn is_behind(&self, index: i64) -> bool {
        self.last.is_some_and(|(last, _)| index < last)
    }

    /// Tells whether an event that was recorded at `at` may be among them.
    pub(crate) fn may_hold(&self, at: i64) -> bool {
        self.is_part || self.last.is_some() && self.accounted().is_none_or(|pruning| at < pruning.before)
    }

    /// Tells whether one of them may still be counted by a limit in this window at `at`; of a window whose uses lapse
    /// one by one, `at` is up to where they have.
    pub(crate) fn may_count(&self, window: &str, at: i64) -> bool {
        if self.is_part || self.last.is_none() {
            return self.is_part;
        }
        // What counts for ever is never pruned.
        window != LIFETIME
            && self.accounted().is_none_or(|pruning| match window {
                ROLLING => at < pruning.before,
                // A place that was held.
                CONCURRENT => at < pruning.at,
                // What is pruned had used a window that was over by then; in the zone of a later rule, one that
                // begins alike may end some hours after it. No hour does, as no check goes that is not a day old.
                _ => {
                    let slack = if window.starts_with("hour:") { 0 } else { SLACK_HOURS * 3_600_000_000 };
                    at < pruning.at.saturating_add(slack) && !pruning.left_open(window)
                }
            })
    }

    /// The same at the end, by the row of a counter, whose window may have ended long ago.
    pub(crate) fn may_have_counted(&self, window: &str, horizon: i64) -> bool {
        match window {
            LIFETIME | ROLLING | CONCURRENT => self.may_count(window, horizon),
            _ => {
                self.is_part
                    || self.last.is_some() && !self.accounted().is_some_and(|pruning| pruning.left_open(window))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(before: &str, to_index: i64) -> PrunedFacts {
        PrunedFacts { before: before.parse().unwrap(), from_index: 0, to_index, count: 1 }
    }

    fn micros(at: &str) -> i64 {
        at.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn what_is_pruned_counts_no_longer_than_pruning_lets_it() {
        let mut gaps = Gaps::default();
        assert!(!gaps.any() && !gaps.may_hold(0) && !gaps.may_count("day:2026-03-02@+00", 0));
        gaps.pruned(7, None);
        for window in ["day:2026-03-02@+00", "hour:2026-03-02T11@+00", ROLLING, CONCURRENT] {
            assert!(gaps.may_count(window, i64::MAX), "nothing tells yet until when");
        }
        assert!(!gaps.may_count(LIFETIME, 0), "what counts for ever is never pruned");
        let at = micros("2026-03-02T12:00:00Z");
        gaps.tell(at, &facts("2026-03-01T00:00:00Z", 8));
        for (window, last) in [
            (ROLLING, "2026-02-28T23:59:59Z"),
            (CONCURRENT, "2026-03-02T11:59:59Z"),
            ("hour:2026-03-02T11@+00", "2026-03-02T11:59:59Z"),
            // It ends at 11:00 or somewhat later.
            ("day:2026-03-01@-11", "2026-03-02T14:59:59Z"),
        ] {
            assert!(gaps.may_count(window, micros(last)), "{window}");
            assert!(!gaps.may_count(window, micros(last) + 1_000_000), "{window}");
        }
        assert!(!gaps.may_count("day:2026-03-02@+00", at - 1), "it was open when it was pruned");
        assert!(gaps.may_have_counted("day:2026-03-01@+00", 0));
        assert!(!gaps.may_have_counted("day:2026-03-02@+00", 0), "it was open when it was pruned");
        assert!(gaps.may_hold(micros("2026-02-28T23:59:59Z")) && !gaps.may_hold(micros("2026-03-01T00:00:00Z")));
        assert!(gaps.is_behind(6) && !gaps.is_behind(7));
        // More is pruned than that accounts for.
        gaps.pruned(8, None);
        assert!(gaps.may_count(ROLLING, i64::MAX) && gaps.may_hold(at));
        gaps.tell(at + 1, &facts("2026-02-01T00:00:00Z", 9));
        assert!(!gaps.may_count(ROLLING, micros("2026-03-01T00:00:00Z")), "the latest of all counts");
    }

    #[test]
    fn a_later_pruning_that_reaches_less_far_tells_of_what_it_took() {
        let [early, late] = ["2026-03-01T00:10:00Z", "2026-03-01T00:20:00Z"].map(micros);
        // The table says when each was, or nothing does.
        for [first, last] in [[Some(late), Some(early)], [None; 2]] {
            let mut gaps = Gaps::default();
            gaps.pruned(5, first);
            gaps.pruned(9, last);
            gaps.tell(micros("2026-03-03T00:00:00Z"), &facts("2026-03-01T00:15:00Z", 10));
            assert_eq!(gaps.may_hold(late), first.is_some(), "what is younger went later");
            gaps.tell(micros("2026-03-04T00:00:00Z"), &facts("2026-03-01T00:25:00Z", 6));
            assert!(gaps.may_hold(late) && gaps.may_count(ROLLING, late));
            assert!(gaps.may_count(CONCURRENT, micros("2026-03-03T12:00:00Z")), "until the latest of all");
            assert!(!gaps.may_hold(micros("2026-03-01T00:25:00Z")));
        }
    }

    #[test]
    fn of_a_part_of_a_log_anything_may_be_missing() {
        let mut gaps = Gaps::default();
        gaps.outside();
        assert!(gaps.any() && gaps.is_part() && gaps.may_hold(i64::MAX) && gaps.may_count(LIFETIME, i64::MAX));
    }
}
