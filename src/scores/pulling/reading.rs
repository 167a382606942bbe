//! Numbers and times out of other people's JSON: as numbers or as text, and nothing made up where there is none.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::foundation::decimal::Decimal;
use crate::scores::score::parse_instant;
use crate::scoring::observation::LARGEST_VALUE;

/// A number of something: none where it is hidden, negative or no whole number; more than there can be is capped.
pub(super) fn count(value: Option<&Value>) -> Option<u64> {
    let number = match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            Some(text.parse().unwrap_or(u64::MAX))
        }
        _ => None,
    };
    number.map(|number| number.min(LARGEST_VALUE))
}

/// A decimal number, cut off behind its third digit: a score that is finer rounds down.
pub(super) fn decimal(value: Option<&Value>) -> Option<Decimal> {
    let text = match value? {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let cut: String = fraction.chars().take(3).collect();
    // Down, not towards zero.
    let is_cut = whole.starts_with('-') && fraction.bytes().skip(3).any(|b| b != b'0');
    let read: Decimal = if cut.is_empty() { whole.parse().ok()? } else { format!("{whole}.{cut}").parse().ok()? };
    Some(if is_cut { read.minus(Decimal::from_thousandths(1)) } else { read })
}

/// An instant: RFC 3339, a date, or seconds or milliseconds since 1970.
pub(super) fn instant(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::String(text) => {
            let of_date = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|it| it.timestamp());
            parse_instant(text).or_else(of_date).or_else(|| since_1970(text.parse().ok()?))
        }
        Value::Number(number) => since_1970(number.as_i64()?),
        _ => None,
    }
}

/// A count of milliseconds is beyond this in 1973 already, a count of seconds not before the year 5138.
const MOST_SECONDS: i64 = 100_000_000_000;

fn since_1970(number: i64) -> Option<Timestamp> {
    if number.unsigned_abs() < MOST_SECONDS.unsigned_abs() {
        Timestamp::from_second(number).ok()
    } else {
        Timestamp::from_millisecond(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_may_be_a_text_and_what_is_none_is_not_zero() {
        for (value, wanted) in [
            (json!(7), Some(7)),
            (json!("7"), Some(7)),
            (json!(0), Some(0)),
            (json!("0"), Some(0)),
            (json!(u64::MAX), Some(LARGEST_VALUE)),
            (json!("99999999999999999999999"), Some(LARGEST_VALUE)),
            (json!(-1), None),
            (json!("-1"), None),
            (json!(1.5), None),
            (json!(""), None),
            (json!("1,000"), None),
            (json!("1.2K"), None),
            (json!(null), None),
            (json!(true), None),
            (json!([7]), None),
        ] {
            assert_eq!(count(Some(&value)), wanted, "{value}");
        }
        assert_eq!(count(None), None);
    }

    #[test]
    fn a_score_rounds_down() {
        for (value, wanted) in [
            (json!(52.125), Some(52_125)),
            (json!("52.1259"), Some(52_125)),
            (json!(0.87), Some(870)),
            (json!(40), Some(40_000)),
            (json!("-0.0001"), Some(-1)),
            (json!("-2.5"), Some(-2_500)),
            (json!("1e3"), None),
            (json!("NaN"), None),
            (json!("5."), Some(5_000)),
            (json!(null), None),
            (json!({"score": 1}), None),
        ] {
            assert_eq!(decimal(Some(&value)).map(Decimal::thousandths), wanted, "{value}");
        }
    }

    #[test]
    fn times_come_in_three_forms() {
        let wanted: Timestamp = "2012-05-08T00:00:00Z".parse().unwrap();
        for value in [
            json!("2012-05-08T02:00:00+02:00"),
            json!("2012-05-08"),
            json!(1_336_435_200),
            json!("1336435200"),
            json!(1_336_435_200_000_i64),
        ] {
            assert_eq!(instant(Some(&value)), Some(wanted), "{value}");
        }
        for bad in [json!("yesterday"), json!(""), json!(null), json!(i64::MAX), json!(1.5)] {
            assert_eq!(instant(Some(&bad)), None, "{bad}");
        }
    }
}
