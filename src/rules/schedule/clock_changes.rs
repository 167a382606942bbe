//! Openings that begin or end while the clocks of their zone change.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{DAY_MINUTES, Opening, Schedule, time_of};

/// Clocks that are put forward or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockChange {
    /// The first wall time that is skipped or comes again, and the first one after that.
    pub skipped_or_repeated: (DateTime, DateTime),
    pub repeats: bool,
}

impl ClockChange {
    /// The first of these wall times.
    pub fn first(&self) -> String {
        self.skipped_or_repeated.0.strftime("%H:%M").to_string()
    }

    /// The first wall time after them.
    pub fn last(&self) -> String {
        self.skipped_or_repeated.1.strftime("%H:%M").to_string()
    }

    /// Tells whether the clocks make an opening from `begin` to `end` something else than it says.
    fn disturbs(&self, begin: DateTime, end: DateTime) -> bool {
        let (first, last) = self.skipped_or_repeated;
        let within = |time: DateTime| first < time && time < last;
        // One that begins with the skipped time still begins when that would have; unless all of it is
        // skipped. At the edges of a repeated time nothing is opened or closed twice.
        within(begin) || within(end) || (!self.repeats && first <= begin && end <= last)
    }
}

impl Schedule {
    /// The openings that clock changes from `from` to `until` disturb, each by its place and with the
    /// changes that do.
    pub fn clock_changes(&self, zone: &TimeZone, from: Timestamp, until: Timestamp) -> Vec<(usize, Vec<ClockChange>)> {
        // Zones change at most a few times a year; the bound is for those that a mistake let in.
        let changes = zone.following(from).take(64).take_while(|next| next.timestamp() < until);
        let changes: Vec<_> = changes.filter_map(|next| change_at(zone, next.timestamp())).collect();
        let disturbed = self.open.iter().enumerate().map(|(at, opening)| {
            let by = changes.iter().filter(|change| self.is_disturbed(opening, change)).copied().collect::<Vec<_>>();
            (at, by)
        });
        disturbed.filter(|(_, changes)| !changes.is_empty()).collect()
    }

    fn is_disturbed(&self, opening: &Opening, change: &ClockChange) -> bool {
        // One that crosses midnight may have begun the day before.
        let day = change.skipped_or_repeated.0.date();
        let days = [day.yesterday().ok(), Some(day), day.tomorrow().ok()];
        days.into_iter().flatten().filter(|day| self.begins(opening, *day)).any(|day| {
            let crosses = opening.to <= opening.from || opening.to == DAY_MINUTES;
            let end_day = if crosses { day.tomorrow().unwrap_or(day) } else { day };
            change.disturbs(wall(day, opening.from), wall(end_day, opening.to % DAY_MINUTES))
        })
    }
}

fn wall(day: Date, minute: u16) -> DateTime {
    day.to_datetime(time_of(minute))
}

/// The wall times that the change at `at` skips or repeats; none when it only renames the zone.
fn change_at(zone: &TimeZone, at: Timestamp) -> Option<ClockChange> {
    let before = zone.to_offset(at.checked_sub(1.nanosecond()).ok()?).to_datetime(at);
    let after = zone.to_datetime(at);
    match after.duration_since(before) {
        SignedDuration::ZERO => None,
        jump if jump.is_positive() => Some(ClockChange { skipped_or_repeated: (before, after), repeats: false }),
        _ => Some(ClockChange { skipped_or_repeated: (after, before), repeats: true }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::document::{FieldErrors, Node};
    use crate::foundation::json::Json;

    /// The dates in the year from May 2026 whose clock changes disturb an opening.
    fn dates(zone: &str, days: &str, from: &str, to: &str) -> Vec<String> {
        let text =
            format!(r#"{{"open":[{{"days":{days},"from":"{from}","to":"{to}"}}],"closed_dates":["2026-12-25"]}}"#);
        let json = Json::parse(&text).unwrap();
        let schedule = Schedule::read(&Node::root(&json), &mut FieldErrors::default()).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let found = schedule.clock_changes(&zone, at("2026-05-01T00:00:00Z"), at("2027-05-01T00:00:00Z"));
        found.iter().flat_map(|(_, changes)| changes).map(|it| it.skipped_or_repeated.0.to_string()).collect()
    }

    const ALL: &str = r#"["mon","tue","wed","thu","fri","sat","sun"]"#;

    #[test]
    fn only_what_begins_or_ends_within_a_change_is_disturbed() {
        let new_york = |from, to| dates("America/New_York", ALL, from, to);
        let (back, forward) = ("2026-11-01T01:00:00", "2027-03-14T02:00:00");
        assert_eq!(new_york("06:00", "23:00"), [""; 0]);
        assert_eq!(new_york("00:00", "24:00"), [""; 0]);
        // Begins where the skipped hour does: at the very instant at which it would have.
        assert_eq!(new_york("02:00", "05:00"), [""; 0]);
        assert_eq!(new_york("02:30", "05:00"), [forward]);
        assert_eq!(new_york("02:00", "03:00"), [forward], "not open at all that day");
        assert_eq!(new_york("01:00", "02:00"), [""; 0], "two hours long, once");
        assert_eq!(new_york("01:30", "05:00"), [back], "opens, closes and opens again");
        assert_eq!(new_york("18:00", "01:30"), [back], "crosses midnight");
        assert_eq!(new_york("18:00", "02:30"), [forward]);
    }

    #[test]
    fn days_closed_dates_and_odd_zones_count() {
        assert_eq!(dates("America/New_York", r#"["sat"]"#, "18:00", "01:30"), ["2026-11-01T01:00:00"]);
        assert_eq!(dates("America/New_York", r#"["sun"]"#, "18:00", "01:30"), [""; 0]);
        assert_eq!(dates("UTC", ALL, "02:30", "05:00"), [""; 0]);
        // Half an hour only.
        assert_eq!(dates("Australia/Lord_Howe", ALL, "02:15", "05:00"), ["2026-10-04T02:00:00"]);
        // At midnight: what is open all day isn't disturbed.
        assert_eq!(dates("Africa/Cairo", ALL, "00:00", "24:00"), [""; 0]);
        assert_eq!(dates("Africa/Cairo", ALL, "00:30", "24:00"), ["2027-04-30T00:00:00"]);
    }
}
