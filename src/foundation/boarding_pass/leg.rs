//! One flight of a boarding pass, its date, and which flight counts.

use std::fmt;

use jiff::civil::Date;
use jiff::{Span, Unit};

use super::BoardingPass;

/// The years around today in which a day's date is looked for: between two leap years lie at most eight.
const YEARS: i16 = 8;

/// One flight as a pass has it: blanks trimmed, letters in capitals, numbers without leading zeros.
#[derive(Clone, PartialEq, Eq)]
pub struct Leg {
    /// The operating carrier's booking reference.
    pub pnr: Option<String>,
    pub from: String,
    pub to: String,
    pub carrier: String,
    pub flight: String,
    /// The day of the year, 1 to 366. A pass names no year.
    pub day: u16,
    pub compartment: Option<String>,
    pub seat: Option<String>,
    /// The check-in sequence number.
    pub sequence: Option<String>,
    pub status: Option<String>,
    pub frequent_flyer_airline: Option<String>,
    pub frequent_flyer: Option<String>,
}

impl fmt::Debug for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leg(…)")
    }
}

/// The leg that counts, with its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountingLeg<'a> {
    pub leg: &'a Leg,
    pub date: Date,
    pub days_from_today: i32,
}

impl Leg {
    /// Airline and number of the frequent flyer, where both are there.
    #[must_use]
    pub fn programme(&self) -> Option<(&str, &str)> {
        self.frequent_flyer_airline.as_deref().zip(self.frequent_flyer.as_deref())
    }

    /// The date of the flight: of all years the one that brings it nearest to `today`, a tie to the future. Only
    /// leap years have a day 366.
    #[must_use]
    pub fn date(&self, today: Date) -> Option<Date> {
        let years = today.year().saturating_sub(YEARS)..=today.year().saturating_add(YEARS);
        let dates = years.filter_map(|year| {
            let first = Date::new(year, 1, 1).ok()?;
            let date = first.checked_add(Span::new().try_days(i64::from(self.day) - 1).ok()?).ok()?;
            (date.year() == year).then_some(date)
        });
        dates.min_by_key(|date| (days_between(today, *date).map(i32::abs), *date < today))
    }
}

impl BoardingPass {
    /// The leg that counts: of those that depart from one of `airports` the one nearest `today`, else of those within a
    /// day of it; the first of equals. A journey there and back departs from home on its first day, and from here today.
    #[must_use]
    pub fn counting_leg(&self, today: Date, airports: &[String]) -> Option<CountingLeg<'_>> {
        let dated = self.legs.iter().filter_map(|leg| {
            let date = leg.date(today)?;
            Some(CountingLeg { leg, date, days_from_today: days_between(today, date)? })
        });
        let days = |it: &CountingLeg<'_>| it.days_from_today.abs();
        let here = dated.clone().filter(|it| airports.contains(&it.leg.from)).min_by_key(days);
        here.or_else(|| dated.filter(|it| days(it) <= 1).min_by_key(days))
    }
}

fn days_between(today: Date, date: Date) -> Option<i32> {
    today.until((Unit::Day, date)).ok().map(|span| span.get_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CX: &str = "M1DESMARAIS/LUC       EABC123 YULFRAAC 0834 326J001A0025 100";

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn dated(day: u16, today: &str) -> String {
        let pass: BoardingPass = CX.parse().unwrap();
        let leg = Leg { day, ..pass.legs()[0].clone() };
        leg.date(date(today)).unwrap().to_string()
    }

    #[test]
    fn the_year_brings_the_date_nearest() {
        for (day, today, wanted) in [
            (326, "2026-11-22", "2026-11-22"),
            (1, "2026-12-31", "2027-01-01"),
            (365, "2027-01-01", "2026-12-31"),
            (60, "2026-03-01", "2026-03-01"),
            (60, "2028-03-01", "2028-02-29"),
            // Only leap years have it.
            (366, "2026-11-29", "2024-12-31"),
            (366, "2027-01-01", "2028-12-31"),
            (366, "1899-01-01", "1896-12-31"),
            (366, "2100-12-31", "2096-12-31"),
            (366, "2101-01-01", "2104-12-31"),
            // 183 days to either side, across a leap year: the future.
            (1, "2024-07-02", "2025-01-01"),
            (1, "2024-07-01", "2024-01-01"),
            (1, "0001-01-01", "0001-01-01"),
            (366, "9999-12-31", "9996-12-31"),
        ] {
            assert_eq!(dated(day, today), wanted, "day {day} on {today}");
        }
    }

    #[test]
    fn the_leg_that_counts_is_the_airports_or_todays() {
        let pass: BoardingPass = CX.parse().unwrap();
        let first = pass.legs()[0].clone();
        let leg = |from: &str, day: u16| Leg { from: from.into(), day, ..first.clone() };
        let legs = vec![leg("YUL", 1), leg("FRA", 326), leg("HKG", 327), leg("YUL", 330)];
        let pass = BoardingPass { name: String::new(), legs };
        let counts = |today: &str, airports: &[&str]| {
            let airports: Vec<_> = airports.iter().map(|it| (*it).to_owned()).collect();
            pass.counting_leg(date(today), &airports).map(|it| (it.leg.from.clone(), it.days_from_today))
        };
        assert_eq!(counts("2026-11-22", &[]), Some(("FRA".into(), 0)));
        assert_eq!(counts("2026-11-21", &[]), Some(("FRA".into(), 1)));
        assert_eq!(counts("2026-11-23", &[]), Some(("HKG".into(), 0)));
        assert_eq!(counts("2026-11-24", &[]), Some(("HKG".into(), -1)));
        assert_eq!(counts("2026-11-25", &[]), Some(("YUL".into(), 1)));
        assert_eq!(counts("2026-11-28", &[]), None);
        assert_eq!(counts("2026-11-22", &["HKG", "SFO"]), Some(("HKG".into(), 1)));
        assert_eq!(counts("2026-11-22", &["YUL"]), Some(("YUL".into(), 4)), "on the way back");
        assert_eq!(counts("2026-12-30", &["YUL"]), Some(("YUL".into(), 2)));
        assert_eq!(counts("2026-12-30", &["HKG", "FRA"]), Some(("HKG".into(), -37)));
        assert_eq!(counts("2026-11-22", &["SFO"]), Some(("FRA".into(), 0)));
    }
}
