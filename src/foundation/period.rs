//! Lengths of time as rules write them: ISO 8601, whole seconds, a day counting as 24 hours.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use jiff::fmt::temporal::SpanParser;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::document::{FieldErrors, Node};

/// A length of time in whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(i64);

/// Ten years: no rule looks further back.
pub const LONGEST: Period = Period(3650 * DAY);
/// The longest a token may live.
pub const ONE_DAY: Period = Period(DAY);
const DAY: i64 = 86_400;

impl Period {
    /// So many seconds, at least one.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.max(1))
    }

    /// So many days of 24 hours, at least one second.
    #[must_use]
    pub const fn from_days(days: i64) -> Self {
        Self(if days < 1 { 1 } else { days * DAY })
    }

    /// In whole seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// In microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0.saturating_mul(1_000_000)
    }

    /// Reads one of at most `longest`.
    pub fn read(node: &Node<'_>, longest: Self, errors: &mut FieldErrors) -> Option<Self> {
        let fault = match parse(node.text(errors)?) {
            Ok(seconds) if (1..=longest.0).contains(&seconds) => return Some(Self(seconds)),
            Ok(_) => PeriodFault::OutOfRange(longest),
            Err(fault) => fault,
        };
        let code = if matches!(fault, PeriodFault::OutOfRange(_)) { "out_of_range" } else { "bad_form" };
        node.refuse(errors, code, fault.to_string())
    }
}

/// Reads a length of time of at most `longest`, which may be none: in whole seconds.
pub fn read_length(node: &Node<'_>, longest: Period, errors: &mut FieldErrors) -> Option<i64> {
    let written = node.text(errors)?;
    if written.starts_with(['-', '+']) {
        return node.refuse(errors, "out_of_range", format!("use a duration from PT0S to {longest}, without a sign"));
    }
    match parse(written) {
        Ok(seconds) if (0..=longest.0).contains(&seconds) => Some(seconds),
        Ok(_) => node.refuse(errors, "out_of_range", format!("use a duration from PT0S to {longest}")),
        Err(fault) => node.refuse(errors, "bad_form", fault.to_string()),
    }
}

/// The canonical form of a length of time that may be none.
#[must_use]
pub fn written(seconds: i64) -> String {
    if seconds == 0 { "PT0S".to_owned() } else { Period::from_seconds(seconds).to_string() }
}

/// Why a text is no [`Period`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeriodFault {
    #[error("{0}: write an ISO 8601 duration such as PT15M, PT24H or P7D")]
    Form(&'static str),
    #[error("use a duration from PT1S to {0}")]
    OutOfRange(Period),
}

/// In seconds, which may be none or less than none.
fn parse(text: &str) -> Result<i64, PeriodFault> {
    let span = SpanParser::new().parse_span(text).map_err(|_| PeriodFault::Form("this is no duration"))?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(PeriodFault::Form("years and months have no fixed length"));
    }
    if span.get_milliseconds() != 0 || span.get_microseconds() != 0 || span.get_nanoseconds() != 0 {
        return Err(PeriodFault::Form("fractions of a second can't be used"));
    }
    // The parser bounds each unit so that the sum can't overflow.
    Ok(i64::from(span.get_weeks()) * 7 * DAY
        + i64::from(span.get_days()) * DAY
        + i64::from(span.get_hours()) * 3600
        + span.get_minutes() * 60
        + span.get_seconds())
}

impl FromStr for Period {
    type Err = PeriodFault;

    /// One of at most [`LONGEST`].
    fn from_str(text: &str) -> Result<Self, PeriodFault> {
        let seconds = parse(text)?;
        if (1..=LONGEST.0).contains(&seconds) { Ok(Self(seconds)) } else { Err(PeriodFault::OutOfRange(LONGEST)) }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Period {
    /// The one canonical form: days, hours, minutes, seconds, each only where it isn't 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('P')?;
        if self.0 >= DAY {
            write!(f, "{}D", self.0 / DAY)?;
        }
        let rest = self.0 % DAY;
        if rest > 0 {
            f.write_char('T')?;
        }
        for (amount, unit) in [(rest / 3600, 'H'), (rest / 60 % 60, 'M'), (rest % 60, 'S')] {
            if amount > 0 {
                write!(f, "{amount}{unit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;

    fn read(text: &str) -> Result<Period, Vec<crate::foundation::field_error::FieldError>> {
        let json = Json::Text(text.to_owned());
        let mut errors = FieldErrors::default();
        let period = Period::read(&Node::root(&json), LONGEST, &mut errors);
        errors.unless_any(period)
    }

    #[test]
    fn a_duration_has_one_canonical_form() {
        for (written, seconds, canonical) in [
            ("PT15M", 900, "PT15M"),
            ("PT900S", 900, "PT15M"),
            ("P7D", 604_800, "P7D"),
            ("P1W", 604_800, "P7D"),
            ("PT24H", 86_400, "P1D"),
            ("P1DT1H1M1S", 90_061, "P1DT1H1M1S"),
        ] {
            let period = read(written).unwrap();
            assert_eq!((period.seconds(), period.to_string().as_str()), (seconds, canonical), "{written}");
            assert_eq!(read(canonical).unwrap(), period);
        }
    }

    #[test]
    fn durations_without_a_fixed_positive_length_are_refused() {
        for (bad, code) in [
            ("P1M", "bad_form"),
            ("P1Y", "bad_form"),
            ("PT0.5S", "bad_form"),
            ("15 minutes", "bad_form"),
            ("900", "bad_form"),
            ("", "bad_form"),
            ("PT", "bad_form"),
            ("PT99999999999999999999S", "bad_form"),
            ("PT0S", "out_of_range"),
            ("-PT15M", "out_of_range"),
            ("P3651D", "out_of_range"),
        ] {
            assert_eq!(read(bad).unwrap_err()[0].code, code, "{bad}");
        }
    }
}
