//! Tells whether a score is still young enough for a rule.

use jiff::{SignedDuration, Timestamp};

use super::score::Score;

/// A score's age against what a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    Fresh,
    /// Older than the rule's `max_age`.
    Stale,
}

impl Score {
    /// The time since it was observed; never negative, as a feeder's clock may be ahead of ours.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.observed_at).max(SignedDuration::ZERO)
    }

    /// Fresh up to and including `max_age`; always without one.
    #[must_use]
    pub fn freshness(&self, max_age: Option<SignedDuration>, now: Timestamp) -> Freshness {
        match max_age {
            Some(max_age) if self.age(now) > max_age => Freshness::Stale,
            _ => Freshness::Fresh,
        }
    }

    /// The first instant at which it is stale, if it ever is.
    #[must_use]
    pub fn stale_from(&self, max_age: Option<SignedDuration>) -> Option<Timestamp> {
        let last = self.observed_at.checked_add(max_age?).ok()?;
        last.checked_add(SignedDuration::from_micros(1)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::decimal::Decimal;

    #[test]
    fn a_score_is_fresh_until_its_last_allowed_microsecond() {
        let observed = "2026-11-15T09:00:00Z".parse::<Timestamp>().unwrap();
        let score = Score::new(Decimal::from_whole(40), observed);
        let week = Some(SignedDuration::from_hours(7 * 24));
        let edge: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        assert_eq!(score.freshness(week, edge), Freshness::Fresh);
        let from = score.stale_from(week).unwrap();
        assert_eq!(from, edge + SignedDuration::from_micros(1));
        assert_eq!(score.freshness(week, from), Freshness::Stale);
        assert_eq!(score.freshness(None, Timestamp::MAX), Freshness::Fresh);
        assert_eq!(score.stale_from(None), None);
    }

    #[test]
    fn a_feeder_whose_clock_is_ahead_makes_no_negative_age() {
        let score = Score::new(Decimal::from_whole(40), "2026-11-22T09:00:30Z".parse().unwrap());
        assert_eq!(score.age("2026-11-22T09:00:00Z".parse().unwrap()), SignedDuration::ZERO);
    }
}
