//! When a perk is open: weekly hours and closed dates, as wall time in the rule's zone.

mod clock_changes;
mod closing;
pub(crate) mod week;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::foundation::document::{FieldErrors, Node, object, text};
use crate::foundation::json::Json;
use crate::rules::engine::{FLOOR, PLAIN};
use crate::rules::messages::Messages;

pub(crate) const MAX_OPENINGS: usize = 50;
pub(crate) const MAX_CLOSED_DATES: usize = 366;
/// The number of days ahead in which the next opening is looked for.
pub(crate) const HORIZON_DAYS: i64 = 400;
const DAY_MINUTES: u16 = 24 * 60;
pub(crate) const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Weekly openings and the dates on which none begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    open: Vec<Opening>,
    /// Sorted.
    closed_dates: Vec<Date>,
    /// Said to guests while it is closed, in place of the standard sentence.
    messages: Option<Messages>,
}

/// From and to a wall time, on some days of the week. When `to` is before `from` it crosses
/// midnight, and belongs to the day it began.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Opening {
    /// One bit a weekday, Monday lowest.
    days: u8,
    /// Minutes since midnight.
    from: u16,
    /// Minutes since midnight, exclusive; 24:00 is allowed.
    to: u16,
}

impl Opening {
    fn always() -> Self {
        Self { days: 0b111_1111, from: 0, to: DAY_MINUTES }
    }

    fn is_on(&self, day: Weekday) -> bool {
        self.days & bit(day) != 0
    }
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

impl Default for Schedule {
    /// Always open.
    fn default() -> Self {
        Self { open: vec![Opening::always()], closed_dates: Vec::new(), messages: None }
    }
}

impl Schedule {
    /// True if there is no opening at all.
    #[must_use]
    pub fn has_no_opening(&self) -> bool {
        self.open.is_empty()
    }

    fn is_always(&self) -> bool {
        self.closed_dates.is_empty() && self.open.contains(&Opening::always())
    }

    /// Tells whether it is open at `now`. The instant is turned into wall time and compared there: an
    /// hour that the clocks skip never is, one that they repeat counts twice.
    #[must_use]
    pub fn is_open(&self, zone: &TimeZone, now: Timestamp) -> bool {
        if self.is_always() {
            return true;
        }
        let local = zone.to_datetime(now);
        let minute = minute_of(local.time());
        let (today, yesterday) = (local.date(), local.date().yesterday().ok());
        self.open.iter().any(|opening| {
            if opening.from < opening.to {
                return self.begins(opening, today) && (opening.from..opening.to).contains(&minute);
            }
            (self.begins(opening, today) && minute >= opening.from)
                || (yesterday.is_some_and(|date| self.begins(opening, date)) && minute < opening.to)
        })
    }

    fn begins(&self, opening: &Opening, date: Date) -> bool {
        opening.is_on(date.weekday()) && self.closed_dates.binary_search(&date).is_err()
    }

    /// The first instant after `after` at which an opening begins, looked for over 400 days. It
    /// is meant for an `after` that is closed.
    #[must_use]
    pub fn next_opening(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        self.next_opening_within(zone, after, HORIZON_DAYS)
    }

    /// The same, looked for over so many days.
    fn next_opening_within(&self, zone: &TimeZone, after: Timestamp, days: i64) -> Option<Timestamp> {
        let first = zone.to_datetime(after).date();
        let mut date = first.yesterday().unwrap_or(first);
        let mut best: Option<Timestamp> = None;
        for _ in 0..days {
            for opening in self.open.iter().filter(|opening| self.begins(opening, date)) {
                let soonest = instants_of(zone, date.to_datetime(time_of(opening.from)))
                    .into_iter()
                    .flatten()
                    .filter(|at| *at > after)
                    .min();
                best = [best, soonest].into_iter().flatten().min();
            }
            let settled = best.is_some_and(|at| zone.to_datetime(at).date() < date);
            match date.tomorrow() {
                Ok(next) if !settled => date = next,
                _ => break,
            }
        }
        // When clocks jump, wall time can land in the middle of an opening whose beginning was skipped or
        // is past.
        let end = best.or_else(|| after.checked_add(SignedDuration::from_hours(24 * days)).ok());
        let jumps = zone.following(after).map(|jump| jump.timestamp());
        let jump = jumps.take(64).take_while(|at| end.is_none_or(|end| *at < end)).find(|at| self.is_open(zone, *at));
        jump.or(best)
    }

    /// `at` itself when it is open then, else the next opening after it.
    #[must_use]
    pub fn first_open(&self, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
        self.first_open_within(zone, at, HORIZON_DAYS)
    }

    /// The same, looked for over so many days.
    pub(crate) fn first_open_within(&self, zone: &TimeZone, at: Timestamp, days: i64) -> Option<Timestamp> {
        if self.is_open(zone, at) { Some(at) } else { self.next_opening_within(zone, at, days) }
    }

    /// The first instant after the last date on which none begins.
    pub(crate) fn after_closed_dates(&self, zone: &TimeZone) -> Option<Timestamp> {
        let next = self.closed_dates.last()?.tomorrow().ok()?;
        zone.to_ambiguous_timestamp(next.to_datetime(Time::MIN)).compatible().ok()
    }

    /// Reads `{"open": […], "closed_dates": […]}`; without `open` every hour is open.
    pub fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["open", "closed_dates", "messages"], errors)?;
        let open = fields.or("open", vec![Opening::always()], |list| {
            let items = list.list(0..=MAX_OPENINGS, errors)?;
            let read: Vec<_> = items.iter().map(|item| Opening::read(item, errors)).collect();
            read.into_iter().collect()
        });
        let closed_dates = fields.or("closed_dates", Vec::new(), |list| {
            let items = list.list(0..=MAX_CLOSED_DATES, errors)?;
            let read: Vec<_> = items.iter().map(|item| read_date(item, errors)).collect();
            let mut dates = read.into_iter().collect::<Option<Vec<_>>>()?;
            dates.sort_unstable();
            dates.dedup();
            Some(dates)
        });
        let messages = fields.or("messages", None, |messages| Messages::read(&messages, errors).map(Some));
        Some(Self { open: open?, closed_dates: closed_dates?, messages: messages? })
    }

    /// The canonical form.
    pub fn to_json(&self) -> Json {
        let dates = self.closed_dates.iter().map(|date| text(date.to_string())).collect();
        let mut members = vec![
            ("open", Json::List(self.open.iter().map(Opening::to_json).collect())),
            ("closed_dates", Json::List(dates)),
        ];
        // Only where they are: a rule that was hashed before there were any keeps its hash.
        members.extend(self.messages.as_ref().map(|messages| ("messages", messages.to_json())));
        Json::object(members)
    }

    /// The words for guests while it is closed.
    #[must_use]
    pub const fn messages(&self) -> Option<&Messages> {
        self.messages.as_ref()
    }

    /// The reading that it needs.
    pub(crate) const fn engine(&self) -> u32 {
        if self.messages.is_some() { FLOOR } else { PLAIN }
    }
}

impl Opening {
    fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["days", "from", "to"], errors)?;
        let days = fields.required("days", errors).and_then(|days| read_days(&days, errors));
        let from = fields.required("from", errors).and_then(|from| read_time(&from, DAY_MINUTES - 1, errors));
        let to = fields.required("to", errors).and_then(|to| read_time(&to, DAY_MINUTES, errors));
        let (days, from, to) = (days?, from?, to?);
        if from == to {
            return node.refuse(
                errors,
                "empty",
                "`from` and `to` are the same time, which could mean never or always: write 00:00 to 24:00 for the whole day",
            );
        }
        Some(Self { days, from, to })
    }

    fn to_json(&self) -> Json {
        let days = DAYS.iter().filter(|(_, day)| self.is_on(*day)).map(|(name, _)| text(*name)).collect();
        object([("days", Json::List(days)), ("from", text(clock(self.from))), ("to", text(clock(self.to)))])
    }
}

fn read_days(node: &Node<'_>, errors: &mut FieldErrors) -> Option<u8> {
    let mut days = 0;
    for item in node.list(1..=7, errors)? {
        let name = item.text(errors)?;
        let Some((_, day)) = DAYS.iter().find(|(known, _)| *known == name) else {
            return item.refuse(errors, "bad_form", "use mon, tue, wed, thu, fri, sat or sun");
        };
        days |= bit(*day);
    }
    Some(days)
}

/// `HH:MM`, in minutes since midnight, at most `latest`.
fn read_time(node: &Node<'_>, latest: u16, errors: &mut FieldErrors) -> Option<u16> {
    let time = node.text(errors)?;
    let minutes = has_form(time, "00:00").then(|| {
        let (hours, minutes) = time.split_once(':')?;
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        (minutes < 60).then(|| hours * 60 + minutes).filter(|minutes| *minutes <= latest)
    });
    match minutes.flatten() {
        Some(minutes) => Some(minutes),
        None => node.refuse(errors, "bad_form", format!("write a time from 00:00 to {}", clock(latest))),
    }
}

fn read_date(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Date> {
    let date = node.text(errors)?;
    match has_form(date, "0000-00-00").then(|| date.parse().ok()).flatten() {
        Some(date) => Some(date),
        None => node.refuse(errors, "bad_form", "write a date such as 2012-12-25"),
    }
}

/// A wall time in `zone` such as `2012-05-08T00:00`, with or without seconds, and its instant. In
/// a gap the clocks' jump carries it forward; of a repeated hour it is the first.
pub fn read_wall_time(node: &Node<'_>, zone: &TimeZone, errors: &mut FieldErrors) -> Option<(DateTime, Timestamp)> {
    let written = node.text(errors)?;
    let local = (has_form(written, "0000-00-00T00:00") || has_form(written, "0000-00-00T00:00:00"))
        .then(|| written.parse::<DateTime>().ok())
        .flatten();
    let instant = local.and_then(|local| zone.to_ambiguous_timestamp(local).compatible().ok());
    match local.zip(instant) {
        Some(both) => Some(both),
        None => node.refuse(
            errors,
            "bad_form",
            "write the local time in the rule's zone, without an offset, such as 2012-05-08T00:00",
        ),
    }
}

/// Tells whether `text` has digits where `form` has `0`, and `form`'s own characters elsewhere.
pub(super) fn has_form(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(b, f)| if f == b'0' { b.is_ascii_digit() } else { b == f })
}

/// The instants at which the clocks in `zone` show `local`: none in a gap, two in a fold.
fn instants_of(zone: &TimeZone, local: DateTime) -> [Option<Timestamp>; 2] {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => [offset.to_timestamp(local).ok(), None],
        AmbiguousOffset::Gap { .. } => [None, None],
        AmbiguousOffset::Fold { before, after } => [before.to_timestamp(local).ok(), after.to_timestamp(local).ok()],
    }
}

fn minute_of(time: Time) -> u16 {
    u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
}

fn time_of(minute: u16) -> Time {
    let part = |value: u16| i8::try_from(value).unwrap_or(0);
    Time::new(part(minute / 60), part(minute % 60), 0, 0).unwrap_or(Time::MIN)
}

fn clock(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> Schedule {
        let json = Json::parse(text).unwrap();
        let mut errors = FieldErrors::default();
        let read = Schedule::read(&Node::root(&json), &mut errors);
        errors.unless_any(read).unwrap()
    }

    fn daily(from: &str, to: &str) -> Schedule {
        let days = r#"["mon","tue","wed","thu","fri","sat","sun"]"#;
        schedule(&format!(r#"{{"open":[{{"days":{days},"from":"{from}","to":"{to}"}}]}}"#))
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn expect(schedule: &Schedule, zone: &TimeZone, cases: &[(&str, bool)]) {
        for (instant, open) in cases {
            assert_eq!(schedule.is_open(zone, at(instant)), *open, "{instant}");
        }
    }

    #[test]
    fn without_hours_it_is_always_open() {
        for always in [Schedule::default(), schedule("{}"), daily("00:00", "24:00")] {
            assert!(always.is_open(&TimeZone::UTC, Timestamp::MIN));
            assert!(always.is_open(&zone("Asia/Tokyo"), Timestamp::MAX));
        }
        assert!(!schedule(r#"{"open":[]}"#).is_open(&TimeZone::UTC, Timestamp::UNIX_EPOCH));
        assert_eq!(schedule(r#"{"open":[]}"#).next_opening(&TimeZone::UTC, Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn an_opening_holds_from_its_first_to_before_its_last_minute() {
        let tokyo = zone("Asia/Tokyo");
        let hours = daily("06:00", "23:00");
        expect(
            &hours,
            &tokyo,
            &[
                ("2026-05-01T05:59:59.999999+09:00", false),
                ("2026-05-01T06:00:00+09:00", true),
                ("2026-05-01T22:59:59.999999+09:00", true),
                ("2026-05-01T23:00:00+09:00", false),
            ],
        );
        assert_eq!(hours.next_opening(&tokyo, at("2026-05-01T23:00:00+09:00")), Some(at("2026-05-02T06:00:00+09:00")));
    }

    #[test]
    fn an_opening_across_midnight_belongs_to_the_day_it_began() {
        // Friday 1 May 2026, and the Saturday after it closed.
        let friday =
            schedule(r#"{"open":[{"days":["fri","sat"],"from":"22:00","to":"02:00"}],"closed_dates":["2026-05-02"]}"#);
        expect(
            &friday,
            &TimeZone::UTC,
            &[
                ("2026-05-01T01:59:00Z", false),
                ("2026-05-01T22:00:00Z", true),
                ("2026-05-02T01:59:00Z", true),
                ("2026-05-02T02:00:00Z", false),
                ("2026-05-02T22:00:00Z", false),
                ("2026-05-03T01:00:00Z", false),
            ],
        );
        assert_eq!(friday.next_opening(&TimeZone::UTC, at("2026-05-02T02:00:00Z")), Some(at("2026-05-08T22:00:00Z")));
    }

    #[test]
    fn hours_that_the_clocks_skip_are_never_open() {
        let new_york = zone("America/New_York");
        // 2026-03-08: 01:59:59 EST is followed by 03:00:00 EDT.
        let skipped = daily("02:00", "03:00");
        expect(&skipped, &new_york, &[("2026-03-08T06:59:59Z", false), ("2026-03-08T07:00:00Z", false)]);
        assert_eq!(skipped.next_opening(&new_york, at("2026-03-08T06:00:00Z")), Some(at("2026-03-09T06:00:00Z")));
        // Its beginning was skipped: it opens as the clocks jump.
        let cut = daily("02:30", "04:00");
        expect(
            &cut,
            &new_york,
            &[("2026-03-08T06:59:59Z", false), ("2026-03-08T07:00:00Z", true), ("2026-03-08T08:00:00Z", false)],
        );
        assert_eq!(cut.next_opening(&new_york, at("2026-03-08T06:00:00Z")), Some(at("2026-03-08T07:00:00Z")));
    }

    #[test]
    fn hours_that_the_clocks_repeat_are_open_twice() {
        let new_york = zone("America/New_York");
        // 2026-11-01: 01:59:59 EDT is followed by 01:00:00 EST.
        let half = daily("01:30", "02:00");
        expect(
            &half,
            &new_york,
            &[
                ("2026-11-01T05:29:59Z", false),
                ("2026-11-01T05:30:00Z", true),
                ("2026-11-01T06:00:00Z", false),
                ("2026-11-01T06:29:59Z", false),
                ("2026-11-01T06:30:00Z", true),
                ("2026-11-01T07:00:00Z", false),
            ],
        );
        assert_eq!(half.next_opening(&new_york, at("2026-11-01T05:00:00Z")), Some(at("2026-11-01T05:30:00Z")));
        assert_eq!(half.next_opening(&new_york, at("2026-11-01T06:00:00Z")), Some(at("2026-11-01T06:30:00Z")));
        // The clocks go back into an opening that is past.
        let early = daily("01:00", "01:45");
        assert_eq!(early.next_opening(&new_york, at("2026-11-01T05:45:00Z")), Some(at("2026-11-01T06:00:00Z")));
    }

    #[test]
    fn clocks_that_move_by_half_an_hour_are_followed() {
        let lord_howe = zone("Australia/Lord_Howe");
        // 2026-04-05: at 02:00 (+11) back to 01:30 (+10:30). 2026-10-04: at 02:00 (+10:30) on to 02:30 (+11).
        let hours = daily("01:45", "02:15");
        expect(
            &hours,
            &lord_howe,
            &[
                ("2026-04-05T01:45:00+11:00", true),
                ("2026-04-05T01:30:00+10:30", false),
                ("2026-04-05T01:45:00+10:30", true),
                ("2026-10-04T01:59:59+10:30", true),
                ("2026-10-04T02:30:00+11:00", false),
            ],
        );
        assert_eq!(
            hours.next_opening(&lord_howe, at("2026-04-05T01:30:00+10:30")),
            Some(at("2026-04-05T01:45:00+10:30"))
        );
    }

    #[test]
    fn a_wall_time_in_a_gap_moves_on_and_in_a_fold_is_the_first() {
        let new_york = zone("America/New_York");
        let read = |text: &str| {
            let json = Json::Text(text.to_owned());
            read_wall_time(&Node::root(&json), &new_york, &mut FieldErrors::default()).unwrap().1
        };
        assert_eq!(read("2026-03-08T02:30"), at("2026-03-08T07:30:00Z"));
        assert_eq!(read("2026-11-01T01:30:00"), at("2026-11-01T05:30:00Z"));
    }

    #[test]
    fn no_instant_and_no_closed_year_is_too_much() {
        let dates: Vec<_> = (1..=365)
            .map(|day| format!("\"{}\"", Date::constant(2026, 1, 1).checked_add(jiff::ToSpan::days(day)).unwrap()))
            .collect();
        let shut = schedule(&format!(r#"{{"closed_dates":[{}]}}"#, dates.join(",")));
        assert_eq!(shut.next_opening(&TimeZone::UTC, at("2026-01-02T00:00:00Z")), Some(at("2027-01-02T00:00:00Z")));
        let hours = daily("22:00", "02:00");
        for edge in [Timestamp::MIN, Timestamp::MAX] {
            let _ = hours.is_open(&zone("Asia/Tokyo"), edge);
            let _ = hours.next_opening(&zone("Asia/Tokyo"), edge);
        }
        assert_eq!(hours.next_opening(&TimeZone::UTC, Timestamp::MAX), None);
    }
}
