//! Blackouts: times at which a rule admits nobody, whatever its hours: once, or on the same dates of every year.

use std::cell::LazyCell;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::messages::Messages;
use super::schedule::{has_form, read_wall_time};
use crate::foundation::document::{FieldErrors, Fields, Node, below, object, text};
use crate::foundation::json::Json;

pub(crate) const MAX_BLACKOUTS: usize = 50;

/// One blackout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blackout {
    pub id: String,
    pub times: BlackoutTimes,
    /// Said to guests meanwhile, in place of the standard sentence.
    pub messages: Option<Messages>,
}

/// When a blackout holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlackoutTimes {
    /// Wall time as written, and the instant it stands for; until is exclusive.
    Once { from: (DateTime, Timestamp), until: (DateTime, Timestamp) },
    /// From the first instant of one date to the last of the other, in every year; across New Year where `to` comes
    /// before `from`.
    Yearly { from: DayOfYear, to: DayOfYear },
}

/// A month and a day of it. 29 February is the 28th where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayOfYear {
    month: i8,
    day: i8,
}

/// A leap year, in which every day of a year occurs.
const LEAP_YEAR: i16 = 2000;
const DAYS_OF_LEAP_YEAR: i16 = 366;
/// Days around yearly dates on which they are looked at closely: a date may begin or end with a change of the clocks,
/// and 29 February may be the day before.
const MARGIN_DAYS: i16 = 2;

impl Blackout {
    /// The stretch of it that `at` lies in, up to and without its end.
    #[must_use]
    pub fn around(&self, zone: &TimeZone, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        self.around_on(zone, at, || zone.to_datetime(at).date())
    }

    /// [`Blackout::around`], with the date that `at` is on.
    fn around_on(&self, zone: &TimeZone, at: Timestamp, date: impl FnOnce() -> Date) -> Option<(Timestamp, Timestamp)> {
        match self.times {
            BlackoutTimes::Yearly { from, to } if !is_near(from, to, date()) => None,
            BlackoutTimes::Yearly { .. } | BlackoutTimes::Once { .. } => {
                self.next(zone, at).filter(|(from, _)| *from <= at)
            }
        }
    }

    /// The first stretch of it that ends after `at`.
    pub(crate) fn next(&self, zone: &TimeZone, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match self.times {
            BlackoutTimes::Once { from: (_, from), until: (_, until) } => Some((from, until)),
            BlackoutTimes::Yearly { .. } => {
                let year = zone.to_datetime(at).year();
                // One that crosses New Year may have begun the year before.
                let years = [year.checked_sub(1), Some(year), year.checked_add(1)].into_iter().flatten();
                years.filter_map(|year| self.of_year(zone, year)).find(|(_, until)| *until > at)
            }
        }
        .filter(|(_, until)| *until > at)
    }

    /// The stretch that begins in a year. It ends with time itself where the calendar does.
    fn of_year(&self, zone: &TimeZone, year: i16) -> Option<(Timestamp, Timestamp)> {
        let BlackoutTimes::Yearly { from, to } = self.times else { return None };
        let start = |date: Date| {
            zone.to_ambiguous_timestamp(DateTime::from_parts(date, Time::MIN)).compatible().unwrap_or(Timestamp::MAX)
        };
        let last = if to < from { year.checked_add(1).and_then(|next| to.of(next)) } else { to.of(year) };
        let after = last.and_then(|date| date.tomorrow().ok());
        Some((start(from.of(year)?), after.map_or(Timestamp::MAX, start)))
    }

    pub(crate) fn read_all(node: &Node<'_>, zone: Option<&TimeZone>, errors: &mut FieldErrors) -> Option<Vec<Self>> {
        // With the zone refused, the times are still looked at, in any zone.
        let zone = zone.cloned().unwrap_or(TimeZone::UTC);
        let mut blackouts: Vec<Self> = Vec::new();
        let mut all = true;
        for item in &node.list(0..=MAX_BLACKOUTS, errors)? {
            let Some(blackout) = Self::read(item, &zone, errors) else {
                all = false;
                continue;
            };
            if blackouts.iter().any(|other| other.id == blackout.id) {
                errors.add(&below(item.pointer(), "id"), "repeated", "another blackout has this id");
            }
            blackouts.push(blackout);
        }
        all.then_some(blackouts)
    }

    fn read(node: &Node<'_>, zone: &TimeZone, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["id", "from", "until", "yearly", "messages"], errors)?;
        let id = fields.required("id", errors).and_then(|id| id.slug(errors));
        let times = match fields.optional("yearly") {
            Some(yearly) => {
                for name in ["from", "until"] {
                    if let Some(extra) = fields.optional(name) {
                        let detail = "write times for once, or `yearly` dates, and not both";
                        return extra.refuse(errors, "contradiction", detail);
                    }
                }
                read_yearly(&yearly, errors)
            }
            None => read_once(&fields, zone, errors),
        };
        let messages = fields.or("messages", None, |messages| Messages::read(&messages, errors).map(Some));
        Some(Self { id: id?.to_owned(), times: times?, messages: messages? })
    }

    /// The canonical form.
    pub(crate) fn to_json(&self) -> Json {
        let mut members = vec![("id", text(&self.id))];
        match self.times {
            BlackoutTimes::Once { from, until } => {
                let wall = |(local, _): (DateTime, Timestamp)| text(local.strftime("%Y-%m-%dT%H:%M:%S").to_string());
                members.extend([("from", wall(from)), ("until", wall(until))]);
            }
            BlackoutTimes::Yearly { from, to } => {
                members.push(("yearly", object([("from", text(from.to_string())), ("to", text(to.to_string()))])));
            }
        }
        members.extend(self.messages.as_ref().map(|messages| ("messages", messages.to_json())));
        Json::object(members)
    }
}

fn read_once(fields: &Fields<'_>, zone: &TimeZone, errors: &mut FieldErrors) -> Option<BlackoutTimes> {
    let from = fields.required("from", errors).and_then(|from| read_wall_time(&from, zone, errors));
    let until = fields.required("until", errors);
    let read = until.as_ref().and_then(|until| read_wall_time(until, zone, errors));
    let (from, written, until) = (from?, until?, read?);
    // By what is written: zones change their clocks, and a stored rule must remain readable when one does.
    if until.0 <= from.0 {
        return written.refuse(errors, "until_not_after_from", "`until` must be later than `from`");
    }
    Some(BlackoutTimes::Once { from, until })
}

fn read_yearly(node: &Node<'_>, errors: &mut FieldErrors) -> Option<BlackoutTimes> {
    let fields = node.fields(&["from", "to"], errors)?;
    let from = fields.required("from", errors).and_then(|from| DayOfYear::read(&from, errors));
    let to = fields.required("to", errors).and_then(|to| DayOfYear::read(&to, errors));
    Some(BlackoutTimes::Yearly { from: from?, to: to? })
}

/// Tells whether a date may be one of the yearly dates from `from` to `to`: none that is, is left out. Most dates are
/// far from most blackouts, and to know that takes no look at the zone's clocks.
fn is_near(from: DayOfYear, to: DayOfYear, date: Date) -> bool {
    let since = |day: i16| (day - from.of_leap_year() + MARGIN_DAYS).rem_euclid(DAYS_OF_LEAP_YEAR);
    let length = (to.of_leap_year() - from.of_leap_year()).rem_euclid(DAYS_OF_LEAP_YEAR);
    since(DayOfYear { month: date.month(), day: date.day() }.of_leap_year()) <= length + 2 * MARGIN_DAYS
}

impl DayOfYear {
    /// Its number among the days of a leap year, from 1.
    fn of_leap_year(self) -> i16 {
        Date::new(LEAP_YEAR, self.month, self.day).map_or(1, Date::day_of_year)
    }

    /// The date in a year.
    fn of(self, year: i16) -> Option<Date> {
        let date = Date::new(year, self.month, self.day);
        date.or_else(|_| Date::new(year, self.month, self.day.saturating_sub(1))).ok()
    }

    fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let written = node.text(errors)?;
        let parts = || {
            let (month, day) = written.split_once('-')?;
            let date = Date::new(LEAP_YEAR, month.parse().ok()?, day.parse().ok()?).ok()?;
            Some(Self { month: date.month(), day: date.day() })
        };
        match has_form(written, "00-00").then(parts).flatten() {
            Some(day) => Some(day),
            None => node.refuse(errors, "bad_form", "write a month and a day of it that there is, such as 12-31"),
        }
    }
}

impl std::fmt::Display for DayOfYear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

/// The blackout that `at` lies in, and when it ends: of several the one that ends last, of equals the one whose id comes
/// first, whatever order they stand in.
pub(crate) fn in_force<'a>(
    blackouts: &'a [Blackout],
    zone: &TimeZone,
    at: Timestamp,
) -> Option<(&'a Blackout, Timestamp)> {
    let date = LazyCell::new(|| zone.to_datetime(at).date());
    let held = blackouts.iter().filter_map(|blackout| Some((blackout, blackout.around_on(zone, at, || *date)?.1)));
    held.max_by(|one, other| (one.1, &other.0.id).cmp(&(other.1, &one.0.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str, zone: &TimeZone) -> Result<Vec<Blackout>, Vec<(String, &'static str)>> {
        let json = Json::parse(list).unwrap();
        let mut errors = FieldErrors::default();
        let read = Blackout::read_all(&Node::root(&json), Some(zone), &mut errors);
        errors.unless_any(read).map_err(|errors| errors.into_iter().map(|it| (it.path.to_string(), it.code)).collect())
    }

    fn one(blackout: &str, zone: &TimeZone) -> Blackout {
        read(&format!(r#"[{{"id":"b",{blackout}}}]"#), zone).unwrap().remove(0)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn expect(blackout: &Blackout, zone: &TimeZone, cases: &[(&str, Option<&str>)]) {
        for (instant, until) in cases {
            let found = blackout.around(zone, at(instant)).map(|(_, until)| until);
            assert_eq!(found, until.map(at), "{instant}");
        }
    }

    #[test]
    fn once_holds_from_its_first_instant_to_before_its_last() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let golden = one(r#""from":"2026-10-01T00:00","until":"2026-10-08T00:00""#, &zone);
        let end = Some("2026-10-07T16:00:00Z");
        expect(
            &golden,
            &zone,
            &[
                ("2026-09-30T15:59:59.999999Z", None),
                ("2026-09-30T16:00:00Z", end),
                ("2026-10-07T15:59:59.999999Z", end),
                ("2026-10-07T16:00:00Z", None),
            ],
        );
    }

    #[test]
    fn yearly_dates_cross_new_year_and_count_whole() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let new_year = one(r#""yearly":{"from":"12-31","to":"01-01"}"#, &zone);
        expect(
            &new_year,
            &zone,
            &[
                ("2026-12-31T04:59:59Z", None),
                ("2026-12-31T05:00:00Z", Some("2027-01-02T05:00:00Z")),
                ("2027-01-01T12:00:00Z", Some("2027-01-02T05:00:00Z")),
                ("2027-01-02T05:00:00Z", None),
            ],
        );
        let july = one(r#""yearly":{"from":"07-04","to":"07-04"}"#, &zone);
        expect(&july, &zone, &[("2030-07-04T12:00:00Z", Some("2030-07-05T04:00:00Z")), ("2030-07-05T12:00:00Z", None)]);
        assert_eq!(july.next(&zone, at("2030-07-05T12:00:00Z")).unwrap().0, at("2031-07-04T04:00:00Z"));
    }

    #[test]
    fn the_day_of_leap_years_is_the_day_before_it_in_others() {
        let utc = TimeZone::UTC;
        let leap = one(r#""yearly":{"from":"02-29","to":"02-29"}"#, &utc);
        expect(
            &leap,
            &utc,
            &[
                ("2027-02-28T12:00:00Z", Some("2027-03-01T00:00:00Z")),
                ("2027-03-01T00:00:00Z", None),
                ("2028-02-28T12:00:00Z", None),
                ("2028-02-29T12:00:00Z", Some("2028-03-01T00:00:00Z")),
            ],
        );
        // The whole year round, but for the one day that is there in leap years only.
        let most = one(r#""yearly":{"from":"03-01","to":"02-28"}"#, &utc);
        expect(&most, &utc, &[("2028-02-29T12:00:00Z", None), ("2027-02-28T12:00:00Z", Some("2027-03-01T00:00:00Z"))]);
    }

    #[test]
    fn a_date_is_passed_over_only_where_the_blackout_does_not_hold() {
        let days = ["01-01", "02-28", "02-29", "03-01", "03-02", "06-30", "12-30", "12-31"];
        for zone in ["UTC", "America/Havana", "Asia/Beirut", "Pacific/Apia"] {
            let zone = TimeZone::get(zone).unwrap();
            for (from, to) in days.into_iter().flat_map(|from| days.map(|to| (from, to))) {
                let blackout = one(&format!(r#""yearly":{{"from":"{from}","to":"{to}"}}"#), &zone);
                // Every seven hours of a leap year and of the year before and after it.
                let mut instant = at("2027-01-01T00:30:00Z");
                while instant < at("2030-01-02T00:00:00Z") {
                    let whole = blackout.next(&zone, instant).filter(|(from, _)| *from <= instant);
                    assert_eq!(blackout.around(&zone, instant), whole, "{from} to {to} at {instant}");
                    instant += jiff::SignedDuration::from_hours(7);
                }
            }
        }
    }

    #[test]
    fn a_night_without_its_wall_time_leaves_a_stored_blackout_readable() {
        // The clocks of New York go from two to three on this night.
        let zone = TimeZone::get("America/New_York").unwrap();
        let skipped = one(r#""from":"2026-03-08T02:30","until":"2026-03-08T03:15""#, &zone);
        expect(&skipped, &zone, &[("2026-03-08T07:10:00Z", None), ("2026-03-08T07:20:00Z", None)]);
    }

    #[test]
    fn it_is_total_at_the_ends_of_time() {
        for yearly in [r#""yearly":{"from":"12-31","to":"01-01"}"#, r#""yearly":{"from":"01-01","to":"12-31"}"#] {
            for zone in ["UTC", "Pacific/Kiritimati", "America/Adak"] {
                let zone = TimeZone::get(zone).unwrap();
                for instant in [Timestamp::MIN, Timestamp::MAX] {
                    let blackout = one(yearly, &zone);
                    assert!(blackout.around(&zone, instant).is_none_or(|(from, until)| from < until));
                    let _ = blackout.next(&zone, instant);
                }
            }
        }
    }

    #[test]
    fn of_several_the_one_that_ends_last_is_named() {
        let utc = TimeZone::UTC;
        let list = r#"[{"id":"day","from":"2026-10-01T00:00","until":"2026-10-02T00:00"},
            {"id":"week","from":"2026-10-01T00:00","until":"2026-10-08T00:00"},
            {"id":"same","from":"2026-10-01T00:00","until":"2026-10-08T00:00"}]"#;
        let mut all = read(list, &utc).unwrap();
        for _ in 0..3 {
            // Of two that end at once the first by its id, in whatever order they stand.
            all.rotate_left(1);
            let (found, until) = in_force(&all, &utc, at("2026-10-01T12:00:00Z")).unwrap();
            assert_eq!((found.id.as_str(), until), ("same", at("2026-10-08T00:00:00Z")));
        }
        assert!(in_force(&all, &utc, at("2026-10-08T00:00:00Z")).is_none());
    }

    #[test]
    fn what_is_no_blackout_is_refused_at_its_spot() {
        let many = vec![r#"{"id":"b","yearly":{"from":"01-01","to":"01-01"}}"#; MAX_BLACKOUTS + 1].join(",");
        for (list, pointer, code) in [
            ("{}", "", "wrong_type"),
            (r#"[{"from":"2026-10-01T00:00","until":"2026-10-08T00:00"}]"#, "/0/id", "missing"),
            (r#"[{"id":"B!","yearly":{"from":"01-01","to":"01-01"}}]"#, "/0/id", "bad_form"),
            (r#"[{"id":"b"}]"#, "/0/from", "missing"),
            (r#"[{"id":"b","from":"2026-10-01T00:00"}]"#, "/0/until", "missing"),
            (r#"[{"id":"b","from":"2026-10-01T00:00Z","until":"2026-10-08T00:00"}]"#, "/0/from", "bad_form"),
            (
                r#"[{"id":"b","from":"2026-10-01T00:00","until":"2026-10-01T00:00"}]"#,
                "/0/until",
                "until_not_after_from",
            ),
            (
                r#"[{"id":"b","from":"2026-10-01T00:00","yearly":{"from":"01-01","to":"01-01"}}]"#,
                "/0/from",
                "contradiction",
            ),
            (r#"[{"id":"b","yearly":{"from":"02-30","to":"03-01"}}]"#, "/0/yearly/from", "bad_form"),
            (r#"[{"id":"b","yearly":{"from":"02-28","to":"13-01"}}]"#, "/0/yearly/to", "bad_form"),
            (r#"[{"id":"b","yearly":{"from":"2-28","to":"03-01"}}]"#, "/0/yearly/from", "bad_form"),
            (r#"[{"id":"b","yearly":{"from":"02-28"}}]"#, "/0/yearly/to", "missing"),
            (&format!("[{many}]"), "", "too_many"),
        ] {
            let errors = read(list, &TimeZone::UTC).expect_err(list);
            assert_eq!((errors[0].0.as_str(), errors[0].1), (pointer, code), "{list}");
        }
        let twice = r#"{"id":"b","yearly":{"from":"01-01","to":"01-01"}}"#;
        assert_eq!(
            read(&format!("[{twice},{twice}]"), &TimeZone::UTC).unwrap_err(),
            [("/1/id".to_owned(), "repeated")]
        );
    }
}
