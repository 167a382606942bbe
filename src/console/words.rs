//! Instants and numbers as pages say them.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A whole number, grouped: `18,412`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of tenths, as drawings have it: `12.5`.
pub(super) fn tenths(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// An instant in the words of a zone, with the instant itself for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct When {
    pub iso: String,
    pub text: String,
}

impl When {
    /// As tables and sentences have it: `14:29` today, `27 Nov, 14:29` this year, else with the year.
    pub(super) fn of(at: Timestamp, zone: &TimeZone, now: Timestamp) -> Self {
        let (local, today) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
        let form = if local.date() == today.date() {
            "%H:%M"
        } else if local.year() == today.year() {
            "%-d %b, %H:%M"
        } else {
            "%-d %b %Y, %H:%M"
        };
        Self { iso: at.to_string(), text: local.strftime(form).to_string() }
    }

    /// The day alone.
    pub(super) fn day(at: Timestamp, zone: &TimeZone) -> Self {
        let local = at.to_zoned(zone.clone());
        Self { iso: at.to_string(), text: local.strftime("%-d %B %Y").to_string() }
    }
}

/// The zone of this name; UTC for one that is not known any more.
pub(super) fn zone_of(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The place that a zone is called by: `Hong Kong`.
pub(super) fn place_of(zone: &str) -> String {
    zone.rsplit('/').next().unwrap_or(zone).replace('_', " ")
}

/// The role in the words of a page.
pub(super) fn role_words(role: crate::access::Role) -> &'static str {
    use crate::access::Role;
    match role {
        Role::Admin => "Admin",
        Role::Auditor => "Auditor",
        Role::Operator => "Operator",
        Role::Kiosk => "Kiosk",
        Role::Door => "Door",
        Role::Feeder => "Feeder",
        Role::Desk => "Desk",
        Role::Reader => "Reader",
    }
}

/// The text as a value in the query of an address.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_155, "1,155"), (18_412, "18,412"), (1_000_000, "1,000,000")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn an_instant_says_its_day_only_where_it_must() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-27T22:32:00Z");
        let zone = zone_of("America/Los_Angeles");
        let text = |text: &str| When::of(at(text), &zone, now).text;
        assert_eq!(text("2026-11-27T22:29:00Z"), "14:29");
        assert_eq!(text("2026-11-26T22:29:00Z"), "26 Nov, 14:29");
        assert_eq!(text("2027-01-05T08:00:00Z"), "5 Jan 2027, 00:00");
        assert_eq!(place_of("America/Los_Angeles"), "Los Angeles");
    }

    #[test]
    fn a_value_of_a_query_ends_nowhere_else() {
        assert_eq!(encoded("/console/perks?q=a b&c"), "/console/perks%3Fq%3Da%20b%26c");
    }
}
