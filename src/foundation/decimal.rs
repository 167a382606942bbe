//! Numbers without floats: fixed-point decimals in thousandths, parsed exactly from their text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A decimal with three places, held as whole thousandths; within ±10¹².
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(i64);

/// Why a text is no [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    #[error("it is not a plain decimal number")]
    NotANumber,
    #[error("it has more than three decimals")]
    TooPrecise,
    #[error("it is too large")]
    TooLarge,
}

const LIMIT_THOUSANDTHS: i64 = 1_000_000_000_000_000;

impl Decimal {
    /// From whole thousandths: `from_thousandths(47_250)` is 47.25.
    #[must_use]
    pub const fn from_thousandths(thousandths: i64) -> Self {
        Self(thousandths)
    }

    /// From a whole number; clamped to the range.
    #[must_use]
    pub fn from_whole(whole: i64) -> Self {
        Self(whole.saturating_mul(1000).clamp(-LIMIT_THOUSANDTHS, LIMIT_THOUSANDTHS))
    }

    /// Reads a number that a person typed: some keyboards have only a comma. It is a point where one or two digits come
    /// after it; with three it may as well stand between thousands, so nobody knows which number that is.
    ///
    /// # Errors
    /// As for a number's own text.
    pub fn typed(text: &str) -> Result<Self, DecimalError> {
        let text = text.trim();
        let is_point = |(whole, fraction): &(&str, &str)| {
            let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
            all_digits(whole.strip_prefix('-').unwrap_or(whole)) && all_digits(fraction) && fraction.len() <= 2
        };
        match text.split_once(',').filter(is_point) {
            Some((whole, fraction)) => format!("{whole}.{fraction}").parse(),
            None => text.parse(),
        }
    }

    /// The value in whole thousandths.
    #[must_use]
    pub const fn thousandths(self) -> i64 {
        self.0
    }

    /// `self - other`; never overflows, as both are bounded.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The next whole number that is not below it: 2.001 → 3.
    #[must_use]
    pub const fn rounded_up(self) -> i64 {
        self.0.div_euclid(1000) + if self.0.rem_euclid(1000) == 0 { 0 } else { 1 }
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads a JSON number without an exponent. Trailing zeros carry no meaning, so `40.5000` is
    /// 40.5; a fourth decimal that isn't zero is refused, never rounded.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) => return Err(DecimalError::NotANumber),
            Some(parts) => parts,
            None => (digits, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || !all_digits(whole)
            || !all_digits(fraction)
            || (whole.len() > 1 && whole.starts_with('0'))
        {
            return Err(DecimalError::NotANumber);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 3 {
            return Err(DecimalError::TooPrecise);
        }
        if whole.len() > 13 {
            return Err(DecimalError::TooLarge);
        }
        let whole: i64 = whole.parse().map_err(|_| DecimalError::TooLarge)?;
        let thousandths: i64 = format!("{fraction:0<3}").parse().map_err(|_| DecimalError::NotANumber)?;
        let value = whole * 1000 + thousandths;
        if value > LIMIT_THOUSANDTHS {
            return Err(DecimalError::TooLarge);
        }
        Ok(Self(if negative { -value } else { value }))
    }
}

impl fmt::Display for Decimal {
    /// The shortest form: `40`, `47.25`, `-0.5`. It is also the number's RFC 8785 form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let (whole, rest) = (magnitude / 1000, magnitude % 1000);
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{rest:03}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1000 == 0 {
            return serializer.serialize_i64(self.0 / 1000);
        }
        // Exact: at most 16 significant digits, and f64's shortest form gives them back.
        #[expect(clippy::cast_precision_loss, reason = "bounded by 10^15 thousandths, below 2^53")]
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// From the number's own text, so that no digit is lost on the way (JSON only).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::{Error as _, Unexpected};
        let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
        // The text is not repeated: whatever stands there may be about someone.
        if raw.get().starts_with('"') {
            return Err(D::Error::invalid_type(Unexpected::Other("text"), &"a number without quotes"));
        }
        raw.get().parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_is_a_point_only_where_it_can_be_nothing_else() {
        for (typed, number) in [("45,5", "45.5"), (" -0,25 ", "-0.25"), ("1.000", "1"), ("7", "7")] {
            assert_eq!(Decimal::typed(typed).map(|it| it.to_string()), Ok(number.to_owned()), "{typed}");
        }
        for typed in ["1,000", "1,000,000", "1.000,5", "1,", ",5", "1,5,5", "-,5", "1,+5", ""] {
            assert_eq!(Decimal::typed(typed), Err(DecimalError::NotANumber), "{typed}");
        }
    }

    #[test]
    fn decimals_read_and_print_exactly() {
        for (text, thousandths, shown) in [
            ("40", 40_000, "40"),
            ("47.25", 47_250, "47.25"),
            ("0.001", 1, "0.001"),
            ("-0.5", -500, "-0.5"),
            ("40.5000", 40_500, "40.5"),
            ("1000000000000", 1_000_000_000_000_000, "1000000000000"),
        ] {
            let value: Decimal = text.parse().unwrap();
            assert_eq!(value.thousandths(), thousandths, "{text}");
            assert_eq!(value.to_string(), shown);
            assert_eq!(serde_json::to_string(&value).unwrap(), shown);
            assert_eq!(serde_json::from_str::<Decimal>(text).unwrap(), value);
        }
    }

    #[test]
    fn a_number_in_quotes_is_said_to_be_text() {
        let error = serde_json::from_str::<Decimal>(r#""47.25""#).unwrap_err().to_string();
        assert!(error.starts_with("invalid type: text, expected a number without quotes"), "{error}");
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        for (text, why) in [
            ("40.000000000000000000000000000001", DecimalError::TooPrecise),
            ("40.0005", DecimalError::TooPrecise),
            ("NaN", DecimalError::NotANumber),
            ("4e1", DecimalError::NotANumber),
            ("", DecimalError::NotANumber),
            ("1.", DecimalError::NotANumber),
            (".5", DecimalError::NotANumber),
            ("+5", DecimalError::NotANumber),
            ("007", DecimalError::NotANumber),
            ("1000000000000.001", DecimalError::TooLarge),
            ("99999999999999999999999999", DecimalError::TooLarge),
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(why), "{text}");
        }
    }

    #[test]
    fn a_gap_rounds_up_to_whole_points() {
        for (text, up) in [("3", 3), ("2.001", 3), ("0.001", 1), ("0", 0), ("-2.5", -2)] {
            assert_eq!(text.parse::<Decimal>().unwrap().rounded_up(), up, "{text}");
        }
    }
}
