//! Tests of a boarding pass that no pass meets: its fields are read in one form, and compared with what is written.

use super::{Lint, each_leaf};
use crate::foundation::boarding_pass::is_airport;
use crate::foundation::document::below;
use crate::rules::attribute::{Attribute, PassField};
use crate::rules::leaf::{Comparison, Scalar, Test};
use crate::rules::rule::Rule;

/// The furthest that the date of a pass is from today, in days, but for the last day of a leap year.
const FURTHEST_DAYS: i64 = 183;

pub(super) fn lint(rule: &Rule, found: &mut Lint) {
    each_leaf(rule, &mut |leaf, pointer| {
        let Attribute::BoardingPass(field) = leaf.attribute else { return };
        let mut warn = |at: String, fault: Fault, is_negated: bool| {
            let (code, says) =
                if is_negated { ("always_met", "every pass differs from") } else { ("never_met", "no pass has") };
            found.warn(at, code, format!("{says} this: {}", fault.0));
        };
        let value = || below(pointer, "value");
        match &leaf.test {
            Test::Equals(scalar) | Test::Differs(scalar) => {
                if let Some(fault) = unread(field, scalar) {
                    warn(value(), fault, matches!(leaf.test, Test::Differs(_)));
                }
            }
            Test::OneOf(scalars) | Test::NoneOf(scalars) => {
                for (at, fault) in scalars.iter().enumerate().filter_map(|(at, it)| Some((at, unread(field, it)?))) {
                    let at = below(&below(pointer, "values"), &at.to_string());
                    warn(at, fault, matches!(leaf.test, Test::NoneOf(_)));
                }
            }
            Test::Contains(part) => {
                if let Some(fault) = unread_part(field, part, false) {
                    warn(value(), fault, false);
                }
            }
            Test::StartsWith(part) => {
                if let Some(fault) = unread_part(field, part, true) {
                    warn(value(), fault, false);
                }
            }
            Test::Compares(comparison, bound) => {
                let bound = bound.thousandths();
                let is_beyond = match comparison {
                    Comparison::Gt | Comparison::Gte => bound > FURTHEST_DAYS * 1000,
                    Comparison::Lt | Comparison::Lte => bound < -FURTHEST_DAYS * 1000,
                };
                if is_beyond {
                    warn(value(), Fault::days(), false);
                }
            }
            Test::Between(low, high) => {
                let (low, high) = (low.thousandths(), high.thousandths());
                let holds_none = (low + 999).div_euclid(1000) > high.div_euclid(1000);
                if holds_none || low > FURTHEST_DAYS * 1000 || high < -FURTHEST_DAYS * 1000 {
                    warn(below(pointer, "values"), Fault::days(), false);
                }
            }
            Test::Exists | Test::Against(..) | Test::Within(_) => {}
        }
    });
}

/// The form of a field, which a value hasn't.
struct Fault(String);

impl Fault {
    fn days() -> Self {
        Self(format!("days are whole, and at most {FURTHEST_DAYS} before or after today"))
    }

    /// The form, and the value in it, where there is one.
    fn of(field: PassField, read: Option<String>) -> Self {
        let form = form(field);
        Self(read.map_or_else(|| form.to_owned(), |read| format!("{form}; write \"{read}\"")))
    }
}

/// The fault of a whole value.
fn unread(field: PassField, scalar: &Scalar) -> Option<Fault> {
    let text = match scalar {
        Scalar::Number(days) => {
            let fits = days.thousandths() % 1000 == 0 && days.thousandths().abs() <= FURTHEST_DAYS * 1000;
            return (!fits).then(Fault::days);
        }
        Scalar::Text(text) => text,
        Scalar::Bool(_) => return None,
    };
    let read = as_read(field, text);
    (read.as_deref() != Some(text)).then(|| Fault::of(field, read))
}

/// The fault of a part of a value: small letters, blanks at the beginning, and zeros where a number begins.
fn unread_part(field: PassField, part: &str, is_beginning: bool) -> Option<Fault> {
    let begins_with_zero = is_beginning && is_number(field) && part.starts_with('0') && part.len() > 1;
    let is_of_date = |b: u8| b.is_ascii_digit() || b == b'-';
    let has_form = match field {
        PassField::Date => part.bytes().all(is_of_date),
        _ => part.bytes().all(|b| matches!(b, b' '..=b'~') && !b.is_ascii_lowercase()),
    };
    (begins_with_zero || !has_form).then(|| Fault::of(field, None))
}

const fn is_number(field: PassField) -> bool {
    matches!(field, PassField::Flight | PassField::Seat | PassField::Sequence)
}

/// The text as the field would be read from a pass; none where no pass can say it.
fn as_read(field: PassField, text: &str) -> Option<String> {
    let code = text.trim().to_ascii_uppercase();
    let is_alphanumeric = |most: usize| code.len() <= most && code.bytes().all(|b| b.is_ascii_alphanumeric());
    let without_zeros = code.trim_start_matches('0');
    let fits = match field {
        PassField::From | PassField::To => is_airport(&code),
        PassField::Carrier => code.len() >= 2 && is_alphanumeric(3),
        PassField::FrequentFlyerAirline => !code.is_empty() && code.len() <= 3,
        PassField::Compartment | PassField::Status => code.len() == 1,
        PassField::FrequentFlyer => !code.is_empty() && code.len() <= 16 && !code.contains(' '),
        PassField::Flight => {
            let digits = code.strip_suffix(|c: char| c.is_ascii_uppercase()).unwrap_or(&code);
            let is_short = (1..=4).contains(&digits.len()) || (digits.len() > 4 && without_zeros.len() <= 4);
            let is_zero = digits.bytes().all(|b| b == b'0');
            if !digits.is_empty() && is_short && is_zero && digits.bytes().all(|b| b.is_ascii_digit()) {
                return Some(format!("0{}", code.trim_start_matches('0')));
            }
            is_short && digits.bytes().all(|b| b.is_ascii_digit())
        }
        PassField::Seat => !without_zeros.is_empty() && without_zeros.len() <= 4,
        PassField::Sequence => !without_zeros.is_empty() && without_zeros.len() <= 5,
        PassField::Date => {
            let date: jiff::civil::Date = text.trim().parse().ok().or_else(|| padded(text))?;
            return Some(date.to_string());
        }
        PassField::DaysFromToday => return None,
    };
    let read = if is_number(field) { without_zeros.to_owned() } else { code.clone() };
    fits.then_some(read)
}

/// A date without the zeros of its month and day.
fn padded(text: &str) -> Option<jiff::civil::Date> {
    let mut parts = text.trim().split('-');
    let (year, month, day) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    jiff::civil::Date::new(year, month, day).ok().filter(|_| parts.next().is_none())
}

const fn form(field: PassField) -> &'static str {
    match field {
        PassField::Carrier => "a carrier is two or three capital letters and digits",
        PassField::Flight => "a flight number is read without leading zeros, such as 873 or 12A",
        PassField::Date => "a date is a year, a month and a day in digits, such as 2026-02-01",
        PassField::DaysFromToday => "days are whole numbers",
        PassField::From | PassField::To => "an airport is three capital letters, such as SFO",
        PassField::Compartment => "a compartment is one capital letter",
        PassField::Seat => "a seat is read without leading zeros, such as 12A",
        PassField::Sequence => "a sequence number is read without leading zeros, such as 25",
        PassField::Status => "a passenger status is one digit or capital letter",
        PassField::FrequentFlyerAirline => "a frequent flyer programme is up to three capital letters and digits",
        PassField::FrequentFlyer => "a frequent flyer number has no blanks, and capital letters",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_form_in_which_a_pass_is_read() {
        for (field, written, read) in [
            (PassField::Flight, "0879", Some("879")),
            (PassField::Flight, "00879", Some("879")),
            (PassField::Flight, "873a", Some("873A")),
            (PassField::Flight, "0000", Some("0")),
            (PassField::Flight, "CX873", None),
            (PassField::Flight, "12345", None),
            (PassField::From, "sfo", Some("SFO")),
            (PassField::From, "San Francisco", None),
            (PassField::Seat, "012A", Some("12A")),
            (PassField::Sequence, "0025", Some("25")),
            (PassField::Sequence, "0", None),
            (PassField::Date, "2026-2-1", Some("2026-02-01")),
            (PassField::Date, "2026-02-30", None),
            (PassField::Date, "1 February", None),
            (PassField::Carrier, "cx", Some("CX")),
            (PassField::Carrier, "CATHAY", None),
            (PassField::Compartment, "first", None),
            (PassField::FrequentFlyer, "cx 123", None),
        ] {
            assert_eq!(as_read(field, written).as_deref(), read, "{field:?} {written}");
            assert_eq!(unread(field, &Scalar::Text(written.into())).is_some(), read != Some(written));
        }
        for (field, written) in [(PassField::Flight, "879"), (PassField::From, "SFO"), (PassField::Seat, "12A")] {
            assert_eq!(as_read(field, written).as_deref(), Some(written));
        }
    }
}
