//! The ability of a rule to decide at an instant, and when it next can: validity, blackouts and opening hours together.

use jiff::Timestamp;

use super::blackout;
use super::rule::Rule;

/// A rule's ability to decide at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability<'a> {
    Open,
    NotYetValid {
        from: Timestamp,
    },
    NoLongerValid,
    /// In force until then.
    Blackout {
        id: &'a str,
        until: Timestamp,
    },
    /// The hours begin again at `opens`, if they do while it is valid.
    Closed {
        opens: Option<Timestamp>,
    },
}

/// The most blackouts, one after the other, that an opening is looked for behind.
const MOST_STEPS: usize = 4 * blackout::MAX_BLACKOUTS;

impl Rule {
    /// Tells whether it can decide at `now`. Of what closes it at once, what lasts longer is named first.
    #[must_use]
    pub fn availability(&self, now: Timestamp) -> Availability<'_> {
        let (from, until) = (self.valid().from.map(|(_, from)| from), self.valid().until.map(|(_, until)| until));
        if until.is_some_and(|until| now >= until) {
            return Availability::NoLongerValid;
        }
        if let Some(from) = from.filter(|from| now < *from) {
            return Availability::NotYetValid { from };
        }
        if let Some((blackout, until)) = blackout::in_force(self.blackouts(), self.time_zone(), now) {
            return Availability::Blackout { id: &blackout.id, until };
        }
        if self.schedule().is_open(self.time_zone(), now) {
            return Availability::Open;
        }
        let opens = self.schedule().next_opening(self.time_zone(), now);
        Availability::Closed { opens: opens.filter(|at| until.is_none_or(|until| *at < until)) }
    }

    /// The first instant from `at` on at which it is open and in no blackout, before its validity ends. Each opening is
    /// looked for over `days`.
    pub(crate) fn first_available(&self, at: Timestamp, days: i64) -> Option<Timestamp> {
        let (zone, until) = (self.time_zone(), self.valid().until.map(|(_, until)| until));
        let mut at = at;
        for _ in 0..MOST_STEPS {
            let open = self.schedule().first_open_within(zone, at, days);
            let open = open.filter(|open| until.is_none_or(|until| *open < until))?;
            match blackout::in_force(self.blackouts(), zone, open) {
                Some((_, end)) => at = end,
                None => return Some(open),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;

    fn rule(members: &str) -> Rule {
        let text = format!(r#"{{"tiers":[{{"id":"t"}}],{members}}}"#);
        Rule::parse(&Json::parse(&text).unwrap(), "lounge").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_closes_it_is_named_in_order_and_ends_behind_all_of_it() {
        let rule = rule(
            r#""valid":{"from":"2026-10-01T00:00","until":"2026-10-20T00:00"},
            "schedule":{"open":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"06:00","to":"23:00"}]},
            "blackouts":[{"id":"one","from":"2026-10-01T00:00","until":"2026-10-03T07:00"},
                {"id":"two","from":"2026-10-03T05:00","until":"2026-10-04T00:00"},
                {"id":"last","from":"2026-10-18T23:00","until":"2027-01-01T00:00"}]"#,
        );
        let opens = Some(at("2026-10-04T06:00:00Z"));
        let blackout = |id, until| Availability::Blackout { id, until: at(until) };
        for (now, wanted, available) in [
            ("2026-09-30T12:00:00Z", Availability::NotYetValid { from: at("2026-10-01T00:00:00Z") }, None),
            ("2026-10-01T00:00:00Z", blackout("one", "2026-10-03T07:00:00Z"), opens),
            ("2026-10-03T06:30:00Z", blackout("two", "2026-10-04T00:00:00Z"), opens),
            ("2026-10-04T05:00:00Z", Availability::Closed { opens }, opens),
            ("2026-10-04T06:00:00Z", Availability::Open, opens),
            ("2026-10-18T23:00:00Z", blackout("last", "2027-01-01T00:00:00Z"), None),
            ("2026-10-20T00:00:00Z", Availability::NoLongerValid, None),
        ] {
            assert_eq!(rule.availability(at(now)), wanted, "{now}");
            if available.is_some() || !matches!(wanted, Availability::NotYetValid { .. }) {
                assert_eq!(rule.first_available(at(now), 400), available, "{now}");
            }
        }
    }

    #[test]
    fn hours_that_begin_in_a_blackout_are_no_opening() {
        let rule = rule(
            r#""schedule":{"open":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"06:00","to":"23:00"}]},
            "blackouts":[{"id":"morning","from":"2026-10-02T05:00","until":"2026-10-02T09:30"}]"#,
        );
        let night = at("2026-10-01T23:30:00Z");
        assert_eq!(rule.availability(night), Availability::Closed { opens: Some(at("2026-10-02T06:00:00Z")) });
        assert_eq!(rule.first_available(night, 400), Some(at("2026-10-02T09:30:00Z")));
    }

    #[test]
    fn a_rule_that_is_never_open_says_so_in_time() {
        let never = rule(r#""blackouts":[{"id":"all","yearly":{"from":"01-01","to":"12-31"}}]"#);
        assert_eq!(never.first_available(at("2026-10-02T06:00:00Z"), 400), None);
        let seldom =
            rule(r#""schedule":{"open":[{"days":["mon"],"from":"06:00","to":"23:00"}],"closed_dates":["2026-10-05"]}"#);
        assert_eq!(seldom.first_available(at("2026-10-03T06:00:00Z"), 9), None);
        assert_eq!(seldom.first_available(at("2026-10-03T06:00:00Z"), 16), Some(at("2026-10-12T06:00:00Z")));
    }
}
