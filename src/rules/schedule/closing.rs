//! The end of opening hours.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::{DAY_MINUTES, Opening, Schedule, minute_of};

/// The most openings, one after the other without a gap, whose common end is looked for.
const MOST: usize = 30;

impl Schedule {
    /// When the hours that hold at `now` end: none when none hold, or no end is near.
    #[must_use]
    pub fn next_closing(&self, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        if self.is_always() {
            return None;
        }
        let mut at = now;
        for _ in 0..MOST {
            let end = self.end_of_hours(zone, at).filter(|end| *end > at)?;
            if !self.is_open(zone, end) {
                return Some(end);
            }
            at = end;
        }
        None
    }

    /// The latest end of the openings that hold at `at`, as wall time has it.
    fn end_of_hours(&self, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
        let local = zone.to_datetime(at);
        let (minute, today) = (minute_of(local.time()), local.date());
        let yesterday = today.yesterday().ok();
        let ends = self.open.iter().filter_map(|opening| {
            let crosses = opening.to <= opening.from;
            if self.begins(opening, today) && minute >= opening.from && (crosses || minute < opening.to) {
                return end_on(opening, if crosses { today.tomorrow().ok()? } else { today }, zone);
            }
            let since_yesterday = crosses && yesterday.is_some_and(|date| self.begins(opening, date));
            if since_yesterday && minute < opening.to { end_on(opening, today, zone) } else { None }
        });
        ends.max()
    }
}

/// The end of an opening that ends on a date.
fn end_on(opening: &Opening, date: Date, zone: &TimeZone) -> Option<Timestamp> {
    let (date, minutes) = if opening.to == DAY_MINUTES { (date.tomorrow().ok()?, 0) } else { (date, opening.to) };
    let (hour, minute) = (i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?);
    let time = Time::new(hour, minute, 0, 0).ok()?;
    zone.to_ambiguous_timestamp(date.to_datetime(time)).compatible().ok()
}

#[cfg(test)]
mod tests {
    use crate::foundation::json::Json;
    use crate::rules::rule::Rule;

    fn closing(open: &str, now: &str) -> Option<String> {
        let rule = format!(r#"{{"tiers":[{{"id":"t"}}],"time_zone":"America/Los_Angeles","schedule":{{{open}}}}}"#);
        let rule = Rule::parse(&Json::parse(&rule).unwrap(), "perk").unwrap();
        rule.schedule().next_closing(rule.time_zone(), now.parse().unwrap()).map(|at| at.to_string())
    }

    const DAYS: &str = r#""days":["mon","tue","wed","thu","fri","sat","sun"]"#;

    #[test]
    fn hours_end_when_the_last_of_them_does() {
        let day = format!(r#""open":[{{{DAYS},"from":"06:00","to":"23:30"}}]"#);
        assert_eq!(closing(&day, "2026-11-27T22:32:00Z").as_deref(), Some("2026-11-28T07:30:00Z"));
        assert_eq!(closing(&day, "2026-11-28T08:00:00Z"), None, "it is closed");
        let night = format!(r#""open":[{{{DAYS},"from":"18:00","to":"02:00"}}]"#);
        assert_eq!(closing(&night, "2026-11-28T04:00:00Z").as_deref(), Some("2026-11-28T10:00:00Z"));
        assert_eq!(closing(&night, "2026-11-28T09:00:00Z").as_deref(), Some("2026-11-28T10:00:00Z"));
        let joined =
            format!(r#""open":[{{{DAYS},"from":"06:00","to":"12:00"}},{{{DAYS},"from":"12:00","to":"24:00"}}]"#);
        assert_eq!(closing(&joined, "2026-11-27T15:00:00Z").as_deref(), Some("2026-11-28T08:00:00Z"));
        let always = r#""closed_dates":["2026-12-25"]"#;
        assert_eq!(closing(always, "2026-11-27T15:00:00Z").as_deref(), Some("2026-12-25T08:00:00Z"));
        assert_eq!(closing(always, "2026-11-20T15:00:00Z"), None, "no end is near");
        assert_eq!(closing("", "2026-11-27T15:00:00Z"), None);
    }
}
