//! A payment for which a desk lets someone in: by the merchant's own name for it, and without a card's data.

use std::fmt;

use aws_lc_rs::digest;

use crate::foundation::field_error::FieldError;
use crate::foundation::subject::hex;
use crate::rules::offers::Price;

/// The most characters of a reference.
pub const MAX_REFERENCE: usize = 100;

/// The reason by which tokens and events tell a paid entry from an override.
pub use crate::rules::overrides::PAID_REASON as REASON;

/// The digits of a card's number (ISO/IEC 7812).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// A payment that was made elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Payment {
    reference: String,
    price: Price,
}

impl Payment {
    /// Reads what was sent.
    ///
    /// # Errors
    /// Everything that is wrong with it, with pointers to `/reference` and `/amount`. None repeats what was sent.
    pub fn new(reference: &str, amount: &str, currency: &str) -> Result<Self, Vec<FieldError>> {
        let price =
            Price::paid(amount, currency).map_err(|errors| errors.into_iter().map(|error| error.below("/amount")));
        let reference = read_reference(reference);
        match (reference, price) {
            (Ok(reference), Ok(price)) => Ok(Self { reference, price }),
            (reference, price) => Err(reference.err().into_iter().chain(price.err().into_iter().flatten()).collect()),
        }
    }

    /// A payment as its row has it.
    pub(crate) const fn stored(reference: String, price: Price) -> Self {
        Self { reference, price }
    }

    /// The merchant's own name for it.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The sum that was paid.
    #[must_use]
    pub const fn price(&self) -> &Price {
        &self.price
    }
}

/// Without the reference: it leads into the merchant's books, and the lines of logs are kept by others.
impl fmt::Debug for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payment").field("price", &self.price).finish_non_exhaustive()
    }
}

/// The text by which an event holds a row to its reference: `sha256:` and its digest.
#[must_use]
pub fn reference_digest(reference: &str) -> String {
    format!("sha256:{}", hex(digest::digest(&digest::SHA256, reference.as_bytes()).as_ref()))
}

fn read_reference(reference: &str) -> Result<String, FieldError> {
    let reference = reference.trim();
    let is_printable = reference.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if reference.is_empty() || reference.len() > MAX_REFERENCE || !is_printable {
        let detail = format!(
            "write the number of the receipt, or the name that your till gives the payment: 1 to {MAX_REFERENCE} printable \
             ASCII characters"
        );
        return Err(FieldError::at("/reference", "invalid_value", detail));
    }
    if has_card_number(reference) {
        let detail = "this looks like the number of a card, which is never kept here: send the number of the receipt, or \
                      whatever your till calls the payment";
        return Err(FieldError::at("/reference", "card_number", detail));
    }
    Ok(reference.to_owned())
}

/// Tells whether the number of a card stands anywhere in the text, also in groups that spaces, hyphens, points or strokes
/// part. Only whole groups are put together: every long number has digits within that pass for a card's.
fn has_card_number(text: &str) -> bool {
    let is_parting = |byte: u8| matches!(byte, b' ' | b'-' | b'.' | b'/');
    text.split(|c: char| !(c.is_ascii_digit() || u8::try_from(c).is_ok_and(is_parting))).any(|run| {
        let groups: Vec<&str> = run.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
        (0..groups.len()).any(|first| {
            let mut digits = String::new();
            groups.iter().skip(first).any(|group| {
                digits.push_str(group);
                is_card_number(&digits)
            })
        })
    })
}

/// Tells whether these digits are as many as a card has, and end with its check digit (Luhn).
fn is_card_number(digits: &str) -> bool {
    let doubled = |(nth, digit): (usize, u8)| {
        let digit = u32::from(digit.wrapping_sub(b'0'));
        match digit * 2 {
            _ if nth % 2 == 0 => digit,
            twice if twice > 9 => twice - 9,
            twice => twice,
        }
    };
    CARD_DIGITS.contains(&digits.len()) && digits.bytes().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(reference: &str, amount: &str, currency: &str) -> Vec<(String, &'static str)> {
        let errors = Payment::new(reference, amount, currency).err().unwrap_or_default();
        errors.into_iter().map(|error| (error.path.to_string(), error.code)).collect()
    }

    #[test]
    fn a_payment_has_a_reference_and_a_price() {
        let payment = Payment::new(" R-2012-0508/17 ", "45.00", "USD").unwrap();
        assert_eq!((payment.reference(), payment.price().amount.as_str()), ("R-2012-0508/17", "45.00"));
        assert!(!format!("{payment:?}").contains("0508"), "{payment:?}");
        assert_eq!(spots("r", "4500", "JPY"), []);
        for (reference, amount, currency, at) in [
            ("", "45.00", "USD", vec!["/reference"]),
            (" \t", "45.00", "USD", vec!["/reference"]),
            ("a\u{7}b", "45.00", "USD", vec!["/reference"]),
            ("№ 17", "45.00", "USD", vec!["/reference"]),
            ("r", "0", "USD", vec!["/amount/amount"]),
            ("r", "0.00", "USD", vec!["/amount/amount"]),
            ("r", "-1", "USD", vec!["/amount/amount"]),
            ("r", "45.001", "USD", vec!["/amount/amount"]),
            ("r", "45.00", "usd", vec!["/amount/currency"]),
            ("", "", "", vec!["/reference", "/amount/currency", "/amount/amount"]),
        ] {
            let found: Vec<_> = spots(reference, amount, currency).into_iter().map(|(path, _)| path).collect();
            assert_eq!(found, at, "{reference} {amount} {currency}");
        }
        assert_eq!(spots(&"x".repeat(MAX_REFERENCE), "1", "USD"), []);
        assert_eq!(spots(&"x".repeat(MAX_REFERENCE + 1), "1", "USD").len(), 1);
    }

    #[test]
    fn what_looks_like_a_card_is_refused_and_not_repeated() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "378282246310005",
            "4222222222222",
            " 6304000000000000000 ",
            "4111.1111.1111.1111",
            "4111/1111 - 1111/1111",
            "VISA 4111111111111111",
            "R4111111111111111",
            "4111111111111111 12/28",
            "4111111111111111/2",
            "17/4111-1111-1111-1111, 12/28",
        ] {
            assert_eq!(spots(card, "45.00", "USD"), [("/reference".to_owned(), "card_number")], "{card}");
            let errors = Payment::new(card, "45.00", "USD").unwrap_err();
            assert!(!format!("{errors:?}").contains(card.trim()), "{errors:?}");
        }
        for other in ["4111111111111112", "411111111111", "41111111111111111111", "4111x1111x1111x1111", "0508"] {
            assert_eq!(spots(other, "45.00", "USD"), [], "{other}");
        }
    }
}
