//! Instants as events write them, read fast: there are several in each.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The longest time by which a row may say that something was done before its event: a change waits for its turn.
pub(crate) const EARLY_MICROS: i64 = 60_000_000;
/// The same, after its event. Builds before took a change's own instant a moment after its event's, when it had waited
/// for a connection and SQLite's lock.
const LATE_MICROS: i64 = 15_000_000;

/// Microseconds of Unix time; what is finer is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(pub i64);

impl Instant {
    /// An instant of RFC 3339; any that jiff reads.
    pub(crate) fn parse(text: &str) -> Result<Self, jiff::Error> {
        match canonical(text.as_bytes()) {
            Some(micros) => Ok(Self(micros)),
            None => text.parse::<Timestamp>().map(|at| Self(at.as_microsecond())),
        }
    }

    /// Tells whether a row that was written with an event of this instant may say `stored` of when it was done.
    pub(crate) fn may_be_stored_as(self, stored: i64) -> bool {
        (-LATE_MICROS..=EARLY_MICROS).contains(&self.0.saturating_sub(stored))
    }
}

/// `2012-05-08T19:00:00.123456789Z` since 1970, with any number of decimals or none: what the gateway
/// writes. Everything else, valid or not, is jiff's.
fn canonical(text: &[u8]) -> Option<i64> {
    let (whole, rest) = text.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2] = *whole else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4])?;
    let (month, day) = (number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?);
    // The last days of a month depend on it, and a leap second is folded: both are rare enough for jiff.
    if year < 1970 || !(1..=12).contains(&month) || !(1..=28).contains(&day) || hour > 23 || minute > 59 || second > 59
    {
        return None;
    }
    let micros = match rest.split_last()? {
        (b'Z', []) => 0,
        (b'Z', [b'.', decimals @ ..]) if (1..=9).contains(&decimals.len()) => {
            let given = number(decimals)?;
            let digits = u32::try_from(decimals.len()).ok()?;
            if digits <= 6 { given * 10_i64.pow(6 - digits) } else { given / 10_i64.pow(digits - 6) }
        }
        _ => return None,
    };
    // Days since 1970 by a calendar whose year begins in March, so that a leap day is its last.
    let (march_year, march_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = march_year / 4 - march_year / 100 + march_year / 400;
    let days = march_year * 365 + leap_days + (march_month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + micros)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |number: i64, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Instant;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an instant")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Instant, E> {
                Instant::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_jiff_writes_is_read_as_jiff_reads_it(seconds in -10_000_000_000_i64..200_000_000_000, nanos in 0..1_000_000_000_i32) {
            for nanos in [nanos, nanos / 1000 * 1000, 0] {
                let at = Timestamp::new(seconds, nanos).unwrap();
                let text = at.to_string();
                prop_assert_eq!(Instant::parse(&text).unwrap().0, at.as_microsecond(), "{}", text);
            }
        }

        #[test]
        fn what_is_bent_is_read_as_jiff_reads_it(at in 0..27_usize, to in proptest::char::range(' ', '~')) {
            let mut text = "2012-02-28T23:59:59.123456Z".to_owned();
            text.replace_range(at..=at, &to.to_string());
            let jiff = text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
            prop_assert_eq!(Instant::parse(&text).ok().map(|it| it.0), jiff, "{}", text);
        }
    }

    #[test]
    fn most_are_read_by_hand() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-28T12:00:00.5Z", 951_739_200_500_000),
            ("2012-05-08T19:00:00Z", 1_336_503_600_000_000),
            ("2012-05-08T19:00:00.000001999Z", 1_336_503_600_000_001),
        ] {
            assert_eq!(canonical(text.as_bytes()), Some(micros), "{text}");
        }
        for other in ["2012-05-31T19:00:00Z", "2012-05-08t19:00:00Z", "2012-05-08T19:00:00+00:00", "", "Z"] {
            assert_eq!(canonical(other.as_bytes()), None, "{other}");
        }
    }
}
