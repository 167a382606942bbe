//! One signal, as it was seen on one day.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::foundation::clock::from_seconds;

/// The most that a level, a running count or one delivery may say: more is a mistake of the sender.
pub const LARGEST_VALUE: u64 = 1_000_000_000_000_000_000;

/// The days for which a signal counts.
pub const LIFE: i64 = 90;

/// One observation about one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub network: String,
    pub signal: String,
    /// When it happened; for a running count of an object, when the object was made.
    pub at: Timestamp,
    /// When it was seen: of two observations of a level or a running count the later stands.
    pub seen_at: Timestamp,
    /// Who did it: counts only.
    pub by: Option<String>,
    /// The post, video or page that it is about.
    pub object: Option<String>,
    /// The level or the running count; how often it was done, for a count (1 without).
    pub value: Option<u64>,
}

/// Number of whole UTC days from 1970 to the instant.
#[must_use]
pub fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(86_400)
}

/// The date of a day that is counted from 1970 on.
#[must_use]
pub fn date_of(day: i64) -> Date {
    TimeZone::UTC.to_datetime(from_seconds(day.saturating_mul(86_400))).date()
}

/// The quarters in which an act counts so many days afterwards: all four in the first week, none from the 90th day on.
/// Who lies ahead of the clock counts as of today.
#[must_use]
pub const fn quarters(age: i64) -> u64 {
    match age {
        ..7 => 4,
        7..30 => 3,
        30..60 => 2,
        60..LIFE => 1,
        LIFE.. => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_fades_in_quarters_at_the_days_that_are_named() {
        let ages = [-1, 0, 6, 7, 29, 30, 59, 60, 89, 90, 10_000];
        assert_eq!(ages.map(quarters), [4, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0]);
    }

    #[test]
    fn days_are_those_of_utc_also_before_1970() {
        let day = |text: &str| day_of(text.parse().unwrap());
        assert_eq!(
            [day("1970-01-01T00:00:00Z"), day("1969-12-31T23:59:59Z"), day("2012-05-08T23:59:59Z")],
            [0, -1, 15_468]
        );
    }
}
