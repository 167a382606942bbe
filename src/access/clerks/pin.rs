//! PINs: what may be one, and the hash that is stored in its stead.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, pbkdf2};
use secrecy::zeroize::Zeroizing;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use crate::foundation::entropy::Entropy;

const SHORTEST: usize = 6;
const FEWEST_KINDS: usize = 4;
const LONGEST: usize = 12;

/// The rounds that OWASP asks of PBKDF2 with HMAC-SHA-256 (2023). A PIN could be tried through all the same: what protects
/// a stolen database is that its rows are hashed under the gateway's own key too.
const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();

/// The text of a PIN, as it was sent. It is shown nowhere.
#[derive(Clone)]
pub struct Pin(Zeroizing<String>);

/// Why a text is no good PIN. None of them repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPin {
    #[error("a PIN is {SHORTEST} to {LONGEST} digits")]
    Form,
    #[error("few different digits, digits in a row, and dates are the first that anyone tries: choose another PIN")]
    Simple,
}

impl Pin {
    /// Tells whether a clerk may have it.
    ///
    /// # Errors
    /// [`WeakPin`].
    pub fn check(&self) -> Result<(), WeakPin> {
        let digits = self.0.as_bytes();
        if !(SHORTEST..=LONGEST).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
            return Err(WeakPin::Form);
        }
        let steps = || digits.windows(2).filter_map(|pair| Some(i16::from(*pair.get(1)?) - i16::from(*pair.first()?)));
        let first = steps().next();
        let is_row = matches!(first, Some(-1..=1)) && steps().all(|step| Some(step) == first);
        let kinds: BTreeSet<u8> = digits.iter().copied().collect();
        if is_row || kinds.len() < FEWEST_KINDS || is_date(&self.0) {
            return Err(WeakPin::Simple);
        }
        Ok(())
    }
}

/// Tells whether it reads as a day, in any order of day, month and year.
fn is_date(digits: &str) -> bool {
    let part = |from: usize| digits.get(from..from + 2).and_then(|part| part.parse::<u8>().ok()).unwrap_or_default();
    let is_day = |a: u8, b: u8| {
        let is_so = |day: u8, month: u8| (1..=31).contains(&day) && (1..=12).contains(&month);
        is_so(a, b) || is_so(b, a)
    };
    let is_century = |at: usize| matches!(part(at), 19 | 20);
    match digits.len() {
        6 => is_day(part(0), part(2)) || is_day(part(2), part(4)),
        8 => is_century(0) && is_day(part(4), part(6)) || is_century(4) && is_day(part(0), part(2)),
        _ => false,
    }
}

impl From<&str> for Pin {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

/// Written by hand: an error must not repeat what was sent in place of a text.
impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PinText)
    }
}

struct PinText;

const AS_TEXT: &str = "write the PIN as text, in quotes";

impl Visitor<'_> for PinText {
    type Value = Pin;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a PIN as text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Pin, E> {
        Ok(Pin::from(text))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Pin, E> {
        Err(E::custom(AS_TEXT))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Pin, E> {
        Err(E::custom(AS_TEXT))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Pin, E> {
        Err(E::custom(AS_TEXT))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Pin, E> {
        Err(E::custom(AS_TEXT))
    }
}

/// The random bytes that make two clerks' hashes of one PIN differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinSalt(pub [u8; 16]);

impl PinSalt {
    /// New random bytes.
    #[must_use]
    pub fn new(entropy: &Entropy) -> Self {
        Self(entropy.bytes())
    }
}

/// The hash of a clerk's PIN.
#[derive(Clone, Copy)]
pub struct PinHash(pub [u8; 32]);

impl PinHash {
    /// Hashes a PIN slowly, under a salt, and under the gateway's own key by `blind`: who has the database alone can't try
    /// PINs.
    #[must_use]
    pub fn of(pin: &Pin, salt: PinSalt, blind: impl FnOnce(&[u8]) -> [u8; 32]) -> Self {
        let peppered = Zeroizing::new(blind(pin.0.as_bytes()));
        let mut hash = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt.0, &*peppered, &mut hash);
        Self(hash)
    }

    /// Compares in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_digits_that_nobody_tries_first() {
        for good in ["470283", "002580", "192837465564", "12345670"] {
            assert_eq!(Pin::from(good).check(), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", WeakPin::Form),
            ("471", WeakPin::Form),
            ("47028a", WeakPin::Form),
            ("４７０２８３", WeakPin::Form),
            ("1928374655641", WeakPin::Form),
            ("47028", WeakPin::Form),
            ("000000", WeakPin::Simple),
            ("123456", WeakPin::Simple),
            ("121212", WeakPin::Simple),
            ("112233", WeakPin::Simple),
            ("310785", WeakPin::Simple),
            ("073185", WeakPin::Simple),
            ("850731", WeakPin::Simple),
            ("31071985", WeakPin::Simple),
            ("19850731", WeakPin::Simple),
            ("987654", WeakPin::Simple),
        ] {
            assert_eq!(Pin::from(bad).check(), Err(why), "{bad}");
        }
    }

    #[test]
    fn no_error_and_no_debug_text_repeats_a_pin() {
        for sent in ["4711", "-4711", "4711.5", "true", "[4711]", r#"{"a":4711}"#, "null"] {
            let error = serde_json::from_str::<Pin>(sent).unwrap_err().to_string();
            assert!(!error.contains("4711"), "{error}");
        }
        let pin: Pin = serde_json::from_str(r#""4711""#).unwrap();
        assert_eq!(format!("{pin:?}"), "Pin(…)");
    }
}
