//! Windows: the stretches of time in which a limit's uses are counted together.

use std::fmt::Write as _;

use jiff::civil::{Date, DateTime, ISOWeekDate, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::engine::{FLOOR, PLAIN};
use crate::foundation::document::{FieldErrors, Node, object, text};
use crate::foundation::json::Json;
use crate::foundation::period::Period;

/// The longest rolling window and the longest stay: uses are kept that long.
pub const LONGEST_WINDOW: Period = Period::from_days(366);
/// The shortest rolling window, so that a batch never outlasts one.
const SHORTEST_WINDOW: i64 = 60;
/// In which stretch of time uses are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    Calendar(Unit),
    /// The time that has just passed, of this length: each use counts for as long.
    Rolling(Period),
    Lifetime,
    /// At the same time: a use counts from its grant until the guest is released, or until the
    /// token lapses unspent, or for `max_stay` after it was spent.
    Concurrent {
        max_stay: Period,
    },
}

/// The way in which uses of a limit leave its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Never: a new window has a counter of its own.
    Sum,
    /// Each after this time.
    Rolling(Period),
    /// Each when the guest has left, after this long at the latest.
    Held { max_stay: Period },
}

/// The window keys of limits whose uses are kept one by one. They name no length, so that
/// publishing another length goes on counting what was used before.
pub const ROLLING: &str = "rolling";
pub const CONCURRENT: &str = "concurrent";
/// The window key of a limit that never lapses.
pub const LIFETIME: &str = "lifetime";

/// Tells whether what was used of a counter may still count at `now`, by its window's key and the instant at
/// which it was last used. It errs on the side of yes: only the rule knows how long a window is.
#[must_use]
pub fn may_count(key: &str, last_used_at: Timestamp, now: Timestamp) -> bool {
    let Some(hours) = longest_hours(key) else { return true };
    now.as_second().saturating_sub(last_used_at.as_second()) < hours.saturating_mul(3600)
}

/// When what was used of a counter counts no more, at the latest; none where it counts for ever. Only the rule knows how
/// long a window is.
#[must_use]
pub fn counts_until(key: &str, last_used_at: Timestamp) -> Option<Timestamp> {
    last_used_at.checked_add(SignedDuration::from_hours(longest_hours(key)?)).ok()
}

/// The longest that a window of this key may be; none where it has no end.
fn longest_hours(key: &str) -> Option<i64> {
    Some(match key.split_once(':').map_or(key, |(unit, _)| unit) {
        // The hour or day at which the clocks change is longer.
        "hour" => 2,
        "day" => 26,
        "week" => 8 * 24,
        "month" => 32 * 24,
        "quarter" => 93 * 24,
        "year" => 367 * 24,
        ROLLING | CONCURRENT => LONGEST_WINDOW.seconds() / 3600,
        _ => return None,
    })
}

/// By how many hours the ends of two stretches with the same key differ at most, in zones whose clocks change
/// differently; the minutes of the offset, which are not read, included.
pub const SLACK_HOURS: i64 = 3;

/// Tells whether a stretch of the calendar with this key was still to last at `at`, for certain: it may be some
/// hours longer than it counts as here, and what is no such key says nothing.
#[must_use]
pub fn ends_after(key: &str, at: Timestamp) -> bool {
    let begun = || {
        let (unit, rest) = key.split_once(':')?;
        let (label, offset) = rest.split_once('@')?;
        let (start, hours) = match Unit::ALL.into_iter().find(|it| it.name() == unit)? {
            Unit::Hour => (format!("{label}:00").parse::<DateTime>().ok()?, 1),
            Unit::Day => (label.parse::<Date>().ok()?.into(), 24),
            Unit::Week => {
                let (year, week) = label.split_once("-W")?;
                let week = ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday);
                (week.ok()?.date().into(), 7 * 24)
            }
            Unit::Month => (format!("{label}-01").parse::<Date>().ok()?.into(), 28 * 24),
            Unit::Quarter => {
                let (year, quarter) = label.split_once("-Q")?;
                let quarter = quarter.parse::<i8>().ok().filter(|quarter| (1..=4).contains(quarter))?;
                // The first one has 90 days, unless it is of a leap year.
                (Date::new(year.parse().ok()?, quarter * 3 - 2, 1).ok()?.into(), 90 * 24)
            }
            Unit::Year => (format!("{label}-01-01").parse::<Date>().ok()?.into(), 365 * 24),
        };
        let (sign, hours_ahead) = (offset.get(..1)?, offset.get(1..3)?.parse::<i64>().ok()?);
        let ahead = if sign == "-" { -hours_ahead } else { hours_ahead };
        let start = TimeZone::UTC.to_timestamp(start).ok()?;
        start.checked_add(SignedDuration::from_hours(hours - SLACK_HOURS - ahead)).ok()
    };
    begun().is_some_and(|end| end > at)
}

/// A stretch of the calendar in the rule's zone; weeks begin on Monday (ISO 8601).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Hour,
    Day,
    Week,
    Month,
    /// Three months; the first begins with the year.
    Quarter,
    Year,
}

impl Window {
    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["calendar", "rolling", "lifetime", "concurrent"], errors)?;
        let named = ["calendar", "rolling", "lifetime", "concurrent"].map(|name| fields.optional(name));
        match named {
            [Some(unit), None, None, None] => Unit::read(&unit, errors).map(Self::Calendar),
            [None, Some(length), None, None] => read_length(&length, errors).map(Self::Rolling),
            [None, None, Some(lifetime), None] if lifetime.boolean(errors)? => Some(Self::Lifetime),
            [None, None, None, Some(held)] => {
                let max_stay = held.fields(&["max_stay"], errors)?.required("max_stay", errors)?;
                Some(Self::Concurrent { max_stay: read_length(&max_stay, errors)? })
            }
            _ => node.refuse(
                errors,
                "bad_form",
                "write one of {\"calendar\":\"day\"}, {\"rolling\":\"PT24H\"}, {\"lifetime\":true} \
                 or {\"concurrent\":{\"max_stay\":\"PT4H\"}}",
            ),
        }
    }

    /// The canonical form.
    pub(crate) fn to_json(self) -> Json {
        match self {
            Self::Calendar(unit) => object([("calendar", text(unit.name()))]),
            Self::Rolling(length) => object([("rolling", text(length.to_string()))]),
            Self::Lifetime => object([("lifetime", Json::Bool(true))]),
            Self::Concurrent { max_stay } => {
                object([("concurrent", object([("max_stay", text(max_stay.to_string()))]))])
            }
        }
    }

    /// Tells whether what it counts together can lie further apart than `longest`, or than a month of the calendar.
    pub(crate) fn is_longer_than(self, longest: Period) -> bool {
        match self {
            Self::Calendar(Unit::Hour | Unit::Day | Unit::Week | Unit::Month) => false,
            Self::Rolling(length) | Self::Concurrent { max_stay: length } => length > longest,
            Self::Calendar(Unit::Quarter | Unit::Year) | Self::Lifetime => true,
        }
    }

    /// The months, `2026-11`, under whose secrets what it counts at `now` is known: the one that a stretch of the calendar
    /// begins in; else that of `now` and the one before. A use is counted in both, so that in either month all is found
    /// that was used in that month and the next.
    pub(crate) fn months(self, zone: &TimeZone, now: Timestamp) -> Vec<String> {
        let today = zone.to_datetime(now).date();
        match self {
            Self::Calendar(Unit::Week) => vec![month_of(monday_of(today))],
            Self::Calendar(Unit::Hour | Unit::Day | Unit::Month) => vec![month_of(today)],
            // Longer stretches of the calendar, and a lifetime, are never counted so.
            Self::Calendar(Unit::Quarter | Unit::Year)
            | Self::Rolling(_)
            | Self::Concurrent { .. }
            | Self::Lifetime => months_of(zone, now).into(),
        }
    }

    pub const fn counting(self) -> Counting {
        match self {
            Self::Calendar(_) | Self::Lifetime => Counting::Sum,
            Self::Rolling(length) => Counting::Rolling(length),
            Self::Concurrent { max_stay } => Counting::Held { max_stay },
        }
    }

    /// The reading that it needs.
    pub(crate) const fn engine(self) -> u32 {
        match self {
            Self::Calendar(Unit::Quarter | Unit::Year) => FLOOR,
            Self::Calendar(_) | Self::Rolling(_) | Self::Lifetime | Self::Concurrent { .. } => PLAIN,
        }
    }

    /// When the window after that of `at` starts; none where uses are counted one by one, or for ever.
    #[must_use]
    pub fn next_start(self, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
        self.key(zone, at).1
    }

    /// The name of the window that `now` is in, and when the next one starts.
    pub(crate) fn key(self, zone: &TimeZone, now: Timestamp) -> (String, Option<Timestamp>) {
        match self {
            Self::Lifetime => (LIFETIME.into(), None),
            Self::Calendar(unit) => unit.window(zone, now),
            Self::Rolling(_) => (ROLLING.into(), None),
            Self::Concurrent { .. } => (CONCURRENT.into(), None),
        }
    }
}

fn read_length(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Period> {
    let length = Period::read(node, LONGEST_WINDOW, errors)?;
    if length.seconds() < SHORTEST_WINDOW {
        return node.refuse(errors, "out_of_range", format!("use a duration from PT1M to {LONGEST_WINDOW}"));
    }
    Some(length)
}

impl Unit {
    pub(crate) const ALL: [Self; 6] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let name = node.text(errors)?;
        match Self::ALL.into_iter().find(|unit| unit.name() == name) {
            Some(unit) => Some(unit),
            None => node.refuse(errors, "bad_form", "use hour, day, week, month, quarter or year"),
        }
    }

    /// `day:2012-05-08@-07`: the offset keeps windows apart that bear the same label, as the two
    /// hours from one to two when the clocks go back, or a day after the rule moved to another zone.
    fn window(self, zone: &TimeZone, now: Timestamp) -> (String, Option<Timestamp>) {
        let local = zone.to_datetime(now);
        let today = local.date();
        let mut key = format!("{}:", self.name());
        let (start, next) = match self {
            Self::Hour => {
                let offset = zone.to_offset(now);
                let _ = write!(key, "{today}T{:02}@{offset}", local.hour());
                return (key, next_hour(zone, local, offset, now));
            }
            Self::Day => {
                let _ = write!(key, "{today}");
                (today, today.tomorrow().ok())
            }
            Self::Week => {
                let week = today.iso_week_date();
                let _ = write!(key, "{}-W{:02}", week.year(), week.week());
                let monday = monday_of(today);
                (monday, monday.checked_add(7.days()).ok())
            }
            Self::Month => {
                let _ = write!(key, "{:04}-{:02}", today.year(), today.month());
                let first = today.first_of_month();
                (first, first.checked_add(1.month()).ok())
            }
            Self::Quarter => {
                let quarter = (today.month() - 1) / 3;
                let _ = write!(key, "{:04}-Q{}", today.year(), quarter + 1);
                let first = Date::new(today.year(), quarter * 3 + 1, 1).unwrap_or(today);
                (first, first.checked_add(3.months()).ok())
            }
            Self::Year => {
                let _ = write!(key, "{:04}", today.year());
                let first = today.first_of_year();
                (first, first.checked_add(1.year()).ok())
            }
        };
        let offset = start_of(zone, start).map_or_else(|| zone.to_offset(now), |start| zone.to_offset(start));
        let _ = write!(key, "@{offset}");
        (key, next.and_then(|next| start_of(zone, next)))
    }
}

/// The label of a date's month: `2026-11`.
pub(crate) fn month_of(date: Date) -> String {
    format!("{:04}-{:02}", date.year(), date.month())
}

/// The months in which any window that reaches back a month at most may have begun: that of `now`, and the one before.
pub(crate) fn months_of(zone: &TimeZone, now: Timestamp) -> [String; 2] {
    let today = zone.to_datetime(now).date();
    let before = today.first_of_month().yesterday().unwrap_or(today);
    [month_of(today), month_of(before)]
}

fn monday_of(date: Date) -> Date {
    date.checked_sub(i32::from(date.weekday().to_monday_zero_offset()).days()).unwrap_or(date)
}

/// The first instant of a date: after the gap where midnight is skipped, the earlier midnight
/// where it comes twice.
fn start_of(zone: &TimeZone, date: Date) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(DateTime::from_parts(date, jiff::civil::Time::MIN)).compatible().ok()
}

/// When the local hour of `now` ends: on the clock's full hour, or earlier, when the clocks jump.
fn next_hour(zone: &TimeZone, local: DateTime, offset: Offset, now: Timestamp) -> Option<Timestamp> {
    let into = i64::from(local.minute()) * 60 + i64::from(local.second());
    let started = SignedDuration::new(into, local.subsec_nanosecond());
    let full = now.checked_add(SignedDuration::from_hours(1)).ok()?.checked_sub(started).ok()?;
    let jump = zone.following(now).next().map(|jump| jump.timestamp());
    jump.filter(|at| *at < full && zone.to_offset(*at) != offset).or(Some(full))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(unit: Unit, zone: &str, now: &str) -> (String, String) {
        let (key, resets) = unit.window(&TimeZone::get(zone).unwrap(), now.parse().unwrap());
        (key, resets.unwrap().to_string())
    }

    #[test]
    fn a_window_is_known_to_last_until_shortly_before_its_end() {
        for (zone, now) in [
            ("UTC", "2026-03-07T05:10:00Z"),
            ("Asia/Hong_Kong", "2026-12-31T17:10:00Z"),
            ("America/Los_Angeles", "2026-03-08T09:10:00Z"),
            ("America/St_Johns", "2026-11-01T03:10:00Z"),
            ("Asia/Kathmandu", "2027-01-01T03:10:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T14:10:00Z"),
        ] {
            for unit in Unit::ALL {
                let (key, resets) = unit.window(&TimeZone::get(zone).unwrap(), now.parse().unwrap());
                let resets = resets.unwrap();
                assert!(!ends_after(&key, resets), "{key} ends at {resets}");
                let before = resets.checked_sub(SignedDuration::from_hours(5)).unwrap();
                if matches!(unit, Unit::Day | Unit::Week) {
                    assert!(ends_after(&key, before), "{key} ends at {resets}");
                }
            }
        }
        for (key, before) in [
            ("month:2026-02@+00", "2026-02-28T20:00:00Z"),
            ("quarter:2026-Q1@-08", "2026-04-01T04:00:00Z"),
            ("year:2026@+08", "2026-12-31T12:00:00Z"),
        ] {
            assert!(ends_after(key, before.parse().unwrap()), "{key}");
        }
        for odd in [
            ROLLING,
            LIFETIME,
            "day:",
            "day:2026-13-01@+00",
            "week:2026-W99@+00",
            "week:2026-10@+00",
            "day:2026-03-07",
            "quarter:2026-Q0@+00",
            "quarter:2026-Q5@+00",
            "quarter:2026-Q127@+00",
            "quarter:2026@+00",
            "year:2026",
            "year:26@+00",
            ":@",
            "é:é@é",
        ] {
            assert!(!ends_after(odd, "1970-01-01T00:00:00Z".parse().unwrap()), "{odd}");
        }
    }

    #[track_caller]
    fn expect(unit: Unit, zone: &str, now: &str, key: &str, resets: &str) {
        assert_eq!(window(unit, zone, now), (key.to_owned(), resets.to_owned()), "{now}");
    }

    #[test]
    fn what_was_used_counts_for_as_long_as_its_window_may_be_open() {
        let used: Timestamp = "2026-03-07T05:00:00Z".parse().unwrap();
        for (key, last, over) in [
            ("hour:2026-03-07T00@-05", "2026-03-07T06:00:00Z", "2026-03-07T07:00:00Z"),
            ("day:2026-03-07@-05", "2026-03-08T05:00:00Z", "2026-03-08T07:00:00Z"),
            ("week:2026-W10@-05", "2026-03-14T05:00:00Z", "2026-03-15T05:00:00Z"),
            ("month:2026-03@-05", "2026-04-07T05:00:00Z", "2026-04-08T05:00:00Z"),
            ("quarter:2026-Q1@-05", "2026-06-07T05:00:00Z", "2026-06-08T05:00:00Z"),
            ("year:2026@-05", "2027-03-08T05:00:00Z", "2027-03-09T05:00:00Z"),
            (ROLLING, "2027-03-07T05:00:00Z", "2027-03-08T05:00:00Z"),
            (CONCURRENT, "2027-03-07T05:00:00Z", "2027-03-08T05:00:00Z"),
        ] {
            assert!(may_count(key, used, last.parse().unwrap()), "{key}");
            assert!(!may_count(key, used, over.parse().unwrap()), "{key}");
        }
        assert!(may_count("lifetime", used, "2099-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_day_is_the_local_one_however_long_it_is() {
        let zone = "America/New_York";
        expect(Unit::Day, zone, "2026-03-08T04:59:59Z", "day:2026-03-07@-05", "2026-03-08T05:00:00Z");
        expect(Unit::Day, zone, "2026-03-08T05:00:00Z", "day:2026-03-08@-05", "2026-03-09T04:00:00Z");
        expect(Unit::Day, zone, "2026-03-09T03:59:59Z", "day:2026-03-08@-05", "2026-03-09T04:00:00Z");
        expect(Unit::Day, zone, "2026-11-01T04:00:00Z", "day:2026-11-01@-04", "2026-11-02T05:00:00Z");
        expect(Unit::Day, zone, "2026-11-02T04:59:59Z", "day:2026-11-01@-04", "2026-11-02T05:00:00Z");
        // Midnight itself is skipped in Cairo on 2026-04-24.
        expect(Unit::Day, "Africa/Cairo", "2026-04-24T10:00:00Z", "day:2026-04-24@+03", "2026-04-24T21:00:00Z");
        expect(Unit::Day, "Africa/Cairo", "2026-04-23T21:59:59Z", "day:2026-04-23@+02", "2026-04-23T22:00:00Z");
    }

    #[test]
    fn weeks_begin_on_monday_and_bear_the_iso_year() {
        expect(Unit::Week, "UTC", "2027-01-03T23:59:59Z", "week:2026-W53@+00", "2027-01-04T00:00:00Z");
        expect(Unit::Week, "UTC", "2027-01-04T00:00:00Z", "week:2027-W01@+00", "2027-01-11T00:00:00Z");
        // The clocks change on its Sunday: the key is that of its Monday all along.
        for now in ["2026-03-02T05:00:00Z", "2026-03-08T12:00:00Z"] {
            expect(Unit::Week, "America/New_York", now, "week:2026-W10@-05", "2026-03-09T04:00:00Z");
        }
    }

    #[test]
    fn months_are_as_long_as_they_are() {
        expect(Unit::Month, "UTC", "2024-02-29T12:00:00Z", "month:2024-02@+00", "2024-03-01T00:00:00Z");
        expect(Unit::Month, "America/New_York", "2026-03-20T00:00:00Z", "month:2026-03@-05", "2026-04-01T04:00:00Z");
        expect(Unit::Month, "Asia/Tokyo", "2026-12-31T15:00:00Z", "month:2027-01@+09", "2027-01-31T15:00:00Z");
    }

    #[test]
    fn quarters_begin_in_january_april_july_and_october_of_the_zone() {
        let zone = "America/New_York";
        expect(Unit::Quarter, zone, "2026-04-01T03:59:59.999999Z", "quarter:2026-Q1@-05", "2026-04-01T04:00:00Z");
        // The clocks change within the first and the last one: the key is that of its first day all along.
        for now in ["2026-01-01T05:00:00Z", "2026-03-08T12:00:00Z"] {
            expect(Unit::Quarter, zone, now, "quarter:2026-Q1@-05", "2026-04-01T04:00:00Z");
        }
        expect(Unit::Quarter, zone, "2026-04-01T04:00:00Z", "quarter:2026-Q2@-04", "2026-07-01T04:00:00Z");
        expect(Unit::Quarter, zone, "2026-09-30T23:00:00-04:00", "quarter:2026-Q3@-04", "2026-10-01T04:00:00Z");
        expect(Unit::Quarter, zone, "2026-12-31T23:59:59-05:00", "quarter:2026-Q4@-04", "2027-01-01T05:00:00Z");
        expect(Unit::Quarter, "Asia/Tokyo", "2026-12-31T15:00:00Z", "quarter:2027-Q1@+09", "2027-03-31T15:00:00Z");
        expect(Unit::Quarter, "UTC", "2024-02-29T12:00:00Z", "quarter:2024-Q1@+00", "2024-04-01T00:00:00Z");
    }

    #[test]
    fn years_are_as_long_as_they_are_and_end_at_the_zones_midnight() {
        expect(Unit::Year, "UTC", "2024-12-31T23:59:59Z", "year:2024@+00", "2025-01-01T00:00:00Z");
        expect(Unit::Year, "UTC", "2025-01-01T00:00:00Z", "year:2025@+00", "2026-01-01T00:00:00Z");
        // Summer time is in its midst, at either end of the world.
        for now in ["2026-01-01T08:00:00Z", "2026-07-01T12:00:00Z", "2027-01-01T07:59:59Z"] {
            expect(Unit::Year, "America/Los_Angeles", now, "year:2026@-08", "2027-01-01T08:00:00Z");
        }
        expect(Unit::Year, "Australia/Sydney", "2026-06-10T00:00:00Z", "year:2026@+11", "2026-12-31T13:00:00Z");
        expect(Unit::Year, "Asia/Hong_Kong", "2026-12-31T16:00:00Z", "year:2027@+08", "2027-12-31T16:00:00Z");
        // The 30th of December 2011 was skipped on Samoa, which crossed the date line.
        expect(Unit::Year, "Pacific/Apia", "2011-12-31T09:59:59Z", "year:2011@-10", "2011-12-31T10:00:00Z");
    }

    #[test]
    fn the_hour_that_comes_twice_is_two_windows() {
        let zone = "America/New_York";
        expect(Unit::Hour, zone, "2026-11-01T05:59:59.5Z", "hour:2026-11-01T01@-04", "2026-11-01T06:00:00Z");
        expect(Unit::Hour, zone, "2026-11-01T06:00:00Z", "hour:2026-11-01T01@-05", "2026-11-01T07:00:00Z");
        expect(Unit::Hour, zone, "2026-03-08T06:30:00Z", "hour:2026-03-08T01@-05", "2026-03-08T07:00:00Z");
        expect(Unit::Hour, "Asia/Kolkata", "2026-05-01T00:10:00Z", "hour:2026-05-01T05@+05:30", "2026-05-01T00:30:00Z");
        // Half an hour back from 02:00 to 01:30, half an hour on from 02:00 to 02:30.
        let howe = "Australia/Lord_Howe";
        expect(Unit::Hour, howe, "2026-04-05T01:59:00+11:00", "hour:2026-04-05T01@+11", "2026-04-04T15:00:00Z");
        expect(Unit::Hour, howe, "2026-04-05T01:30:00+10:30", "hour:2026-04-05T01@+10:30", "2026-04-04T15:30:00Z");
        expect(Unit::Hour, howe, "2026-10-04T02:30:00+11:00", "hour:2026-10-04T02@+11", "2026-10-03T16:00:00Z");
    }

    #[test]
    fn the_ends_of_time_have_windows() {
        for unit in Unit::ALL {
            for zone in ["UTC", "Asia/Tokyo", "America/New_York"] {
                let zone = TimeZone::get(zone).unwrap();
                assert!(unit.window(&zone, Timestamp::MIN).0.contains('@'));
                assert!(unit.window(&zone, Timestamp::MAX).0.contains('@'));
            }
        }
    }
}
